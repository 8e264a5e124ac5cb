/* The Pmap: the map from a guest's pages to host frames, of one VM. Memory is given when the guest
 * first touches it: a whole 2 MiB where the guest has that much around the address and the host has
 * it in one piece, else 4 KiB. Every frame is cleared before the guest sees it.
 *
 * Any thread; takes the pmap's lock. */
#pragma once
#include "kernel/hvm.h"
#include "kernel/lock.h"

struct pmap {
    struct lock lock;
    struct slat slat;
    u64 memory; /* bytes of RAM; where it lies: vmm/layout.h */
    u16 owner;  /* VM id, for the frames */
    u64 frames; /* frames that the guest has */
    u64 faults;
};

enum err pmap_create(struct pmap *p, u64 memory, u16 owner) MUST_CHECK; /* E_NOMEM */
/* Gives back every frame. The VM must not run. */
void pmap_clear(struct pmap *p);
void pmap_destroy(struct pmap *p);

/* Is there RAM at that address? */
bool pmap_is_ram(const struct pmap *p, gpa_t gpa);
/* Makes the page present. E_RANGE: no RAM there. E_NOMEM: the host has no frame left. */
enum err pmap_fault(struct pmap *p, gpa_t gpa) MUST_CHECK;
/* The host address behind a guest address, up to the end of its 4 KiB page; faults the page in.
 * Stays valid until pmap_clear. NULL as above. */
void *pmap_host(struct pmap *p, gpa_t gpa);

/* Ferry's own accesses to guest memory, of any length. E_RANGE, E_NOMEM. */
enum err pmap_read(struct pmap *p, gpa_t gpa, void *to, size_t size) MUST_CHECK;
enum err pmap_write(struct pmap *p, gpa_t gpa, const void *from, size_t size) MUST_CHECK;
