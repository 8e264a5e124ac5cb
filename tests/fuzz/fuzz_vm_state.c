/* SPDX-License-Identifier: BSD-2-Clause */
/* The state of a VM comes from another host: whatever is changed in a good one is refused, or gives a machine that runs,
 * and whose state goes out and in again as the same bytes. The input is a list of changes: offset, value. */
#include <stdlib.h>
#include <string.h>
#include "tests/unit/fake/fake.h"
#include "tests/unit/fake/vm_world.h"
#include "kernel/timer.h"
#include "vmm/state/state.h"

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition))                                                                          \
            abort();                                                                               \
    } while (0)

static struct vm_world world;
static u8 good[16384] ALIGNED(8), changed[16384] ALIGNED(8), once[16384] ALIGNED(8),
    twice[16384] ALIGNED(8);
static u64 good_size;

static void make_good(void)
{
    good_size = sizeof(good);
    fake_reset();
    vm_world_make(&world, VM_MOVING);
    vm_world_use(&world);
    CHECK(!vm_state_save(&world.vm, good, &good_size));
}

static u64 save(u8 *to)
{
    u64 size = sizeof(once);

    world.vm.state = VM_MOVING;
    CHECK(!vm_state_save(&world.vm, to, &size));
    return size;
}

/* Every device is read, and time goes on: none of that may fail, whatever state it is in. */
static void run(void)
{
    struct platform *p = &world.vm.platform;
    u32 value;

    world.vm.state = VM_RUNNING;
    for (unsigned round = 0; round < 4; round++) {
        struct vtime now = vcpu_time(&world.vm.vcpu[round % WORLD_VCPUS]);
        unsigned cpu = round % WORLD_VCPUS;

        platform_tick(p, &now);
        for (unsigned i = 0; i < WORLD_VCPUS; i++)
            irqchip_tick(&p->devices.irqchip, i, &now);
        irqchip_accept(&p->devices.irqchip, cpu);
        irqchip_mmio_write(&p->devices.irqchip, cpu, GPA(GUEST_LAPIC + 0xb0), 4, 0, &now);
        irqchip_mmio_read(&p->devices.irqchip, cpu, GPA(GUEST_LAPIC + 0x390), 4, &now);
        for (u16 port = 0; port < 0x100; port++)
            platform_in(p, cpu, port, 1, &now, &value);
        for (u16 port = PORT_COM1; port < PORT_COM1 + 8; port++)
            platform_in(p, cpu, port, 1, &now, &value);
        platform_out(p, cpu, 0x61, 1, &now, round);
        platform_out(p, cpu, 0x43, 1, &now, 0xc2);
        platform_next(p);
        fake_advance(round == 2 ? SEC(100000) : MSEC(3));
    }
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
    u64 length = good_size, first, second;
    struct why why;

    if (!good_size)
        make_good();
    length = good_size;
    memcpy(changed, good, sizeof(changed));
    if (size && data[0] & 0x80) /* a part of it */
        length = length * data[0] / 256;
    for (size_t i = 1; i + 2 < size; i += 3)
        changed[((u64)data[i] << 8 | data[i + 1]) % good_size] = data[i + 2];
    fake_reset();
    vm_world_make(&world, VM_INCOMING);
    if (vm_state_load(&world.vm, changed, length, size * 1000003, &why))
        return 0;
    first = save(once);
    CHECK(!vm_state_load(&world.vm, once, first, 0, &why));
    second = save(twice);
    CHECK(first == second && !memcmp(once, twice, first));
    run();
    return 0;
}
