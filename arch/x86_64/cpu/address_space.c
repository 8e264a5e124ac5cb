/* SPDX-License-Identifier: BSD-2-Clause */
/* The kernel's address space:
 *
 *     ffff8000_00000000   all RAM, writable, not executable (arch_direct_map)
 *     ffffc000_00000000   stacks, each with an unmapped page below it, and device registers
 *     ffffffff_80000000   the image: text r-x, read-only data r--, data rw- (linker.ld)
 *
 * Nothing is both writable and executable, and nothing is mapped below. */
#include "arch/x86_64/cpu/cpu_arch.h"
#include "arch/x86_64/cpu/msr.h"
#include "kernel/frames.h"
#include "kernel/lock.h"
#include "kernel/panic.h"

#define WINDOW_BASE 0xffffc00000000000ull

extern const u8 image_start[], image_text_end[], image_rodata_end[], image_end[];

static struct ptab space;
static struct lock window_lock;
static u64 window_next = WINDOW_BASE;
static void *free_stacks; /* linked through their lowest word */

static void map_or_panic(u64 at, unsigned level, u64 to, u32 prot, enum memory_type type)
{
    if (ptab_map(&space, at, level, HPA(to), prot, type))
        panic("no memory for the kernel's page tables");
}

/* The image's pages from `from` to `to`. */
static void map_image(const struct boot_info *boot, const u8 *from, const u8 *to, u32 prot)
{
    for (; from < to; from += PAGE_SIZE)
        map_or_panic((u64)from, 1, boot->kernel_base + (u64)(from - image_start), prot, MEMORY_WB);
}

static void map_ram(u64 base, u64 size)
{
    u64 end = base + size;

    while (base < end) {
        bool large = !(base & LARGE_MASK) && end - base >= LARGE_SIZE;

        map_or_panic((u64)arch_direct_map + base, large ? 2 : 1, base, PROT_READ | PROT_WRITE,
                     MEMORY_WB);
        base += large ? LARGE_SIZE : PAGE_SIZE;
    }
}

/* Neighbouring regions are mapped as one, so that large pages are not broken at their borders. */
static void map_all_ram(const struct boot_info *boot)
{
    u64 base = 0, end = 0;

    for (u32 i = 0; i < boot->region_count; i++) {
        const struct boot_region *r = &boot->region[i];

        if (r->type == BOOT_OTHER)
            continue;
        if (r->base != end) {
            map_ram(base, end - base);
            base = r->base;
        }
        end = r->base + r->size;
    }
    map_ram(base, end - base);
}

void address_space_init(const struct boot_info *boot)
{
    if (ptab_create(&space, &host_format))
        panic("no memory for the kernel's page tables");
    map_all_ram(boot);
    map_image(boot, image_start, image_text_end, PROT_READ | PROT_EXEC);
    map_image(boot, image_text_end, image_rodata_end, PROT_READ);
    map_image(boot, image_rodata_end, image_end, PROT_READ | PROT_WRITE);
}

void address_space_load(void)
{
    cr4_write(cr4_read() | CR4_PGE);
    cr0_write((cr0_read() | CR0_WP) & ~(CR0_CD | CR0_NW));
    cr3_write(space.root.v);
}

hpa_t address_space_root(void)
{
    return space.root;
}

void *arch_map_device(hpa_t address, u64 size)
{
    u64 offset = address.v & PAGE_MASK, at, pages = (offset + size + PAGE_MASK) / PAGE_SIZE;
    enum err e = OK;

    lock_acquire(&window_lock);
    at = window_next;
    window_next += (pages + 1) * PAGE_SIZE;
    for (u64 i = 0; i < pages && !e; i++)
        e = ptab_map(&space, at + i * PAGE_SIZE, 1, HPA(address.v - offset + i * PAGE_SIZE),
                     PROT_READ | PROT_WRITE, MEMORY_UC);
    lock_release(&window_lock);
    return e ? NULL : (void *)(at + offset);
}

/* Maps a new stack behind an unmapped page; the lock is held. */
static void *stack_map(void)
{
    u64 at = window_next + PAGE_SIZE;

    window_next = at + ARCH_STACK_SIZE;
    for (u64 i = 0; i < ARCH_STACK_SIZE; i += PAGE_SIZE) {
        hpa_t frame = frame_alloc(0, FRAME_KERNEL, 0);

        if (!frame.v || ptab_map(&space, at + i, 1, frame, PROT_READ | PROT_WRITE, MEMORY_WB))
            return NULL;
    }
    return (void *)at;
}

void *arch_stack_alloc(void)
{
    void **stack;

    lock_acquire(&window_lock);
    stack = free_stacks;
    if (stack)
        free_stacks = *stack;
    else
        stack = stack_map();
    lock_release(&window_lock);
    return stack ? (u8 *)stack + ARCH_STACK_SIZE : NULL;
}

void arch_stack_free(void *top)
{
    void **stack = (void **)((u8 *)top - ARCH_STACK_SIZE);

    lock_acquire(&window_lock);
    *stack = free_stacks;
    free_stacks = stack;
    lock_release(&window_lock);
}
