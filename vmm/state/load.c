/* SPDX-License-Identifier: BSD-2-Clause */
/* Takes up a VM's state: checks all of it, then sets all of it. */
#include "kernel/string.h"
#include "vmm/dev/scale.h"
#include "vmm/state/sections.h"
#include "vmm/state/state.h"

#define ELAPSED_MOST BIT(60) /* ns */

/* Calls visit for each section that must be there, in order; E_FORMAT where another one is, or bytes lack or are left. */
static enum err walk(struct state_load *l, const u8 *from, u64 size,
                     enum err (*visit)(struct state_load *l, const struct state_row *row,
                                       const void *content, u32 length))
{
    u64 at = sizeof(struct state_header);

    for (u32 r = 0; r < state_row_count; r++) {
        const struct state_row *row = &state_rows[r];
        u32 instances = row->per_vcpu ? l->vm->config.vcpus : 1;

        for (u32 i = 0; i < instances; i++) {
            struct state_section s;
            u64 padded;
            enum err e;

            if (size - at < sizeof(s))
                return why_set(l->why, E_FORMAT, "it ends before the section '%s'", row->name);
            memcpy(&s, from + at, sizeof(s));
            at += sizeof(s);
            padded = ALIGN_UP((u64)s.length, 8);
            if (s.type != row->type || s.instance != i || s.length < row->least ||
                s.length > state_row_most(row) || padded > size - at)
                return why_set(l->why, E_FORMAT,
                               "the section '%s' %u is not where or as it should be", row->name, i);
            l->index = i;
            e = visit(l, row, from + at, s.length);
            if (e)
                return e;
            if (!mem_is_zero(from + at + s.length, padded - s.length))
                return why_set(l->why, E_FORMAT, "the section '%s' has something behind it",
                               row->name);
            at += padded;
        }
    }
    return at == size ? OK : why_set(l->why, E_FORMAT, "it goes on behind its last section");
}

static enum err visit_check(struct state_load *l, const struct state_row *row, const void *content,
                            u32 length)
{
    return row->check(l, content, length);
}

static enum err visit_set(struct state_load *l, const struct state_row *row, const void *content,
                          u32 length)
{
    if (row->type == STATE_VM) {
        memcpy(&l->saved, content, sizeof(l->saved));
        l->now = (struct vtime){l->saved.ns, l->saved.tsc, l->saved.tsc_khz};
    }
    row->set(l, content, length);
    return OK;
}

static enum err check_header(const u8 *from, u64 size, u32 vcpus, struct why *why)
{
    struct state_header h;
    u32 sections = 0;

    if (size < sizeof(h))
        return why_set(why, E_FORMAT, "%llu bytes are no state of a VM", (unsigned long long)size);
    memcpy(&h, from, sizeof(h));
    if (memcmp(h.magic, STATE_MAGIC, sizeof(h.magic)) != 0)
        return why_set(why, E_FORMAT, "this is no state of a VM");
    if (h.version != STATE_VERSION)
        return why_set(why, E_FORMAT, "it has layout %u, and this host knows %u", h.version,
                       STATE_VERSION);
    for (u32 r = 0; r < state_row_count; r++)
        sections += state_rows[r].per_vcpu ? vcpus : 1;
    if (h.size != size || h.sections != sections)
        return why_set(why, E_FORMAT, "it says %u sections in %llu bytes, and there are %u in %llu",
                       h.sections, (unsigned long long)h.size, sections, (unsigned long long)size);
    return OK;
}

/* The clocks go on: guest time and TSC from where they stood, and what kvmclock says with them. Where the TSC's rate is
 * another one here, kvmclock's moment is moved to now, so that it neither jumps nor loses what the guest has seen. */
static void set_time(struct state_load *l)
{
    struct vm *vm = l->vm;
    const struct state_vm *s = &l->saved;
    u64 elapsed = s->runs ? l->elapsed_ns : 0;
    u64 tsc = s->tsc + scale_down(elapsed, 1000000, s->tsc_khz);

    vm->clock = (struct guest_clock){s->clock_tsc, s->clock_ns};
    if (s->tsc_khz != arch_tsc_khz())
        vm->clock = (struct guest_clock){tsc, clock_read(&vm->clock, s->tsc_khz, tsc)};
    vm->wall_clock = s->wall_clock;
    vm->resets = s->resets;
    vm->held_in = s->runs ? VM_RUNNING : VM_PAUSED;
    vm_set_time(vm, s->ns + elapsed, tsc);
}

static bool can_be_set(const struct vm *vm)
{
    return (vm->state == VM_INCOMING || vm->state == VM_MOVING) && vm_all_parked(vm);
}

enum err vm_state_load(struct vm *vm, const void *buffer, u64 size, u64 elapsed_ns, struct why *why)
{
    struct state_load l = {.vm = vm, .why = why, .elapsed_ns = elapsed_ns};
    enum err e = OK;

    if (elapsed_ns >= ELAPSED_MOST)
        return why_set(why, E_RANGE, "a guest cannot have stood still for so long");
    lock_acquire(&vm->lock);
    if (!can_be_set(vm))
        e = why_set(why, E_STATE, "%s is neither incoming nor held for a hand-off",
                    vm->config.name);
    if (!e)
        e = check_header(buffer, size, vm->config.vcpus, why);
    if (!e)
        e = walk(&l, buffer, size, visit_check);
    if (!e)
        e = walk(&l, buffer, size, visit_set);
    if (!e)
        set_time(&l);
    lock_release(&vm->lock);
    return e;
}
