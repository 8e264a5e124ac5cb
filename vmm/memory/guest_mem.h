/* SPDX-License-Identifier: BSD-2-Clause */
/* Ferry's own accesses to a guest's memory: instruction decoding, page walks, device models, loaders. They meet the same
 * faults as the guest's and take the same way. They may sleep until a page has come: threads only, without a lock.
 *
 * E_RANGE: no RAM there. E_NOMEM: the host has no frame left. E_STATE: the VM's memory was taken away meanwhile, or the VM is held (pmap_hold). Or
 * what a backing said. What fails has read or written a part at most. */
#pragma once
#include "vmm/memory/pmap.h"

enum err guest_mem_read(struct pmap *p, gpa_t gpa, void *to, size_t size) MUST_CHECK;
enum err guest_mem_write(struct pmap *p, gpa_t gpa, const void *from, size_t size) MUST_CHECK;
/* Atomically: if the 4 or 8 aligned bytes still are `old`, makes them `new`. E_STATE if they were not. */
enum err guest_mem_cmpxchg(struct pmap *p, gpa_t gpa, unsigned size, u64 old, u64 new) MUST_CHECK;
/* Makes a page good to be written, as a write would: so that nothing can fail behind a device's side effect. */
enum err guest_mem_touch(struct pmap *p, gpa_t gpa) MUST_CHECK;
