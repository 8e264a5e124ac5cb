/* SPDX-License-Identifier: BSD-2-Clause */
/* What save and load share: the table of sections. */
#pragma once
#include "vmm/state/layout.h"
#include "vmm/vm.h"

/* A load on its way. */
struct state_load {
    struct vm *vm;
    struct state_vm saved;
    u32 index;        /* the vCPU whose section it is */
    struct vtime now; /* guest time when it stopped: device times are relative to that */
    u64 elapsed_ns;   /* since then */
    struct why *why;
};

/* One kind of section. get writes the content and returns its length; check refuses what cannot be, and changes
 * nothing; set cannot fail, and trusts what was checked. Devices are guarded by the VM's lock, which is held. */
struct state_row {
    u16 type;
    bool per_vcpu;
    const char *name;
    u32 least, most; /* bytes; most 0: arch_fpu_size() */
    u32 (*get)(struct vm *vm, u32 index, const struct vtime *now, void *to);
    enum err (*check)(const struct state_load *l, const void *from, u32 length);
    void (*set)(const struct state_load *l, const void *from, u32 length);
};

extern const struct state_row state_rows[];
extern const u32 state_row_count;
u32 state_row_most(const struct state_row *row);

/* cpu.c */
u32 state_get_cpu(struct vm *vm, u32 index, const struct vtime *now, void *to);
enum err state_check_cpu(const struct state_load *l, const void *from, u32 length);
void state_set_cpu(const struct state_load *l, const void *from, u32 length);
u32 state_get_fpu(struct vm *vm, u32 index, const struct vtime *now, void *to);
enum err state_check_fpu(const struct state_load *l, const void *from, u32 length);
void state_set_fpu(const struct state_load *l, const void *from, u32 length);

/* machine.c */
u32 state_get_vm(struct vm *vm, u32 index, const struct vtime *now, void *to);
enum err state_check_vm(const struct state_load *l, const void *from, u32 length);
u32 state_get_cpuid(struct vm *vm, u32 index, const struct vtime *now, void *to);
enum err state_check_cpuid(const struct state_load *l, const void *from, u32 length);
void state_set_nothing(const struct state_load *l, const void *from, u32 length);
