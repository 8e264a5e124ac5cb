/* SPDX-License-Identifier: BSD-2-Clause */
/* Writes a VM's state. */
#include "kernel/string.h"
#include "vmm/state/sections.h"
#include "vmm/state/state.h"

static u32 instances(const struct vm *vm, const struct state_row *row)
{
    return row->per_vcpu ? vm->config.vcpus : 1;
}

u64 vm_state_size(const struct vm *vm)
{
    u64 size = sizeof(struct state_header);

    for (u32 r = 0; r < state_row_count; r++)
        size += instances(vm, &state_rows[r]) *
                (sizeof(struct state_section) + ALIGN_UP(state_row_most(&state_rows[r]), 8));
    return size;
}

/* What is due by now happens: afterwards a timer's time left is never below 0. */
static void settle(struct vm *vm, const struct vtime *now)
{
    platform_tick(&vm->platform, now);
    for (u32 i = 0; i < vm->config.vcpus; i++) {
        struct vtime own = {now->ns, now->tsc + vm->vcpu[i].tsc_adjust, now->tsc_khz};

        irqchip_tick(&vm->platform.devices.irqchip, i, &own);
    }
}

static u64 write_all(struct vm *vm, const struct vtime *now, u8 *to)
{
    struct state_header *header = (struct state_header *)to;
    u64 at = sizeof(*header);

    *header = (struct state_header){.magic = STATE_MAGIC, .version = STATE_VERSION};
    for (u32 r = 0; r < state_row_count; r++) {
        const struct state_row *row = &state_rows[r];

        for (u32 i = 0; i < instances(vm, row); i++) {
            struct state_section *s = (struct state_section *)(to + at);
            u32 length = row->get(vm, i, now, s + 1);

            *s = (struct state_section){.type = row->type, .instance = (u16)i, .length = length};
            at += sizeof(*s);
            memset(to + at + length, 0, ALIGN_UP(length, 8) - length);
            at += ALIGN_UP(length, 8);
            header->sections++;
        }
    }
    header->size = at;
    return at;
}

enum err vm_state_save(struct vm *vm, void *buffer, u64 *size)
{
    struct vtime now;

    if (*size < vm_state_size(vm))
        return E_RANGE;
    lock_acquire(&vm->lock);
    if (vm->state != VM_MOVING) {
        lock_release(&vm->lock);
        return E_STATE;
    }
    now = (struct vtime){vm->stopped_ns - vm->ns_offset, vm->stopped_tsc + vm->tsc_offset,
                         arch_tsc_khz()};
    settle(vm, &now);
    *size = write_all(vm, &now, buffer);
    lock_release(&vm->lock);
    return OK;
}
