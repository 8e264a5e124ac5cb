/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/memory/guest_mem.h"
#include "kernel/string.h"

/* The bytes at gpa in the host, if the page is good for that access; the lock is held. */
static void *host_address(const struct pmap *p, gpa_t gpa, bool write)
{
    const struct ptab *t = &p->slat.table;
    unsigned level;
    u64 entry = ptab_lookup(t, gpa.v, &level);

    if (!entry || (write && !(t->format->prot(entry) & PROT_WRITE)))
        return NULL;
    return (u8 *)phys_to_virt(ptab_frame_at(entry, level, gpa.v)) + (gpa.v & PAGE_MASK);
}

/* Returns OK with the lock held and the page good for the access. */
static enum err hold(struct pmap *p, gpa_t gpa, bool write, void **at)
{
    struct pmap_waiter waiter = {0};
    enum err e;

    if (!pmap_is_ram(p, gpa))
        return E_RANGE;
    for (;;) {
        lock_acquire(&p->lock);
        *at = host_address(p, gpa, write);
        if (*at && write)
            dirty_mark(p, pmap_index(gpa), 1);
        if (*at)
            return OK;
        lock_release(&p->lock);
        e = pmap_fault(p, gpa, write, &waiter);
        if (e == E_AGAIN)
            e = pmap_wait(&waiter);
        if (e)
            return e;
    }
}

/* The bytes from gpa to the end of its page, `size` at most. */
static size_t piece(gpa_t gpa, size_t size)
{
    return MIN(size, PAGE_SIZE - (gpa.v & PAGE_MASK));
}

enum err guest_mem_read(struct pmap *p, gpa_t gpa, void *to, size_t size)
{
    for (size_t n; size; size -= n, gpa.v += n, to = (u8 *)to + n) {
        void *at;
        enum err e = hold(p, gpa, false, &at);

        if (e)
            return e;
        n = piece(gpa, size);
        memcpy(to, at, n);
        lock_release(&p->lock);
    }
    return OK;
}

enum err guest_mem_write(struct pmap *p, gpa_t gpa, const void *from, size_t size)
{
    for (size_t n; size; size -= n, gpa.v += n, from = (const u8 *)from + n) {
        void *at;
        enum err e = hold(p, gpa, true, &at);

        if (e)
            return e;
        n = piece(gpa, size);
        memcpy(at, from, n);
        lock_release(&p->lock);
    }
    return OK;
}

static bool exchange(void *at, unsigned size, u64 old, u64 new)
{
    u32 old32 = (u32)old;

    if (size == 8)
        return __atomic_compare_exchange_n((u64 *)at, &old, new, false, __ATOMIC_SEQ_CST,
                                           __ATOMIC_SEQ_CST);
    return __atomic_compare_exchange_n((u32 *)at, &old32, (u32) new, false, __ATOMIC_SEQ_CST,
                                       __ATOMIC_SEQ_CST);
}

enum err guest_mem_cmpxchg(struct pmap *p, gpa_t gpa, unsigned size, u64 old, u64 new)
{
    void *at;
    bool done;
    enum err e = hold(p, gpa, true, &at);

    if (e)
        return e;
    done = exchange(at, size, old, new);
    lock_release(&p->lock);
    return done ? OK : E_STATE;
}

enum err guest_mem_touch(struct pmap *p, gpa_t gpa)
{
    void *at;
    enum err e = hold(p, gpa, true, &at);

    if (!e)
        lock_release(&p->lock);
    return e;
}
