/* SPDX-License-Identifier: BSD-2-Clause */
/* Break before make: a page whose frame changes is not writable anywhere until no CPU can use the old translation.
 *
 *      lock    map the new frame read-only, or nothing    the pages are busy: a write waits
 *      unlock  shoot down
 *      lock    map the new frame writable, wake           unless the memory was taken away meanwhile
 *
 * Else one vCPU could write to the new frame while another still reads the old one, and sees a later store to another page
 * before it: x86 promises its guests that this cannot be. */
#include "vmm/memory/pmap.h"

static void set_busy(struct pmap *p, const struct pmap_break *b, bool busy)
{
    for (u64 i = b->first; i < b->first + b->pages; i++)
        pmap_record(p, i)->busy = busy;
}

void pmap_break_begin(struct pmap *p, struct pmap_break *b, u64 first, u64 pages)
{
    *b = (struct pmap_break){.first = first, .pages = pages};
    set_busy(p, b, true);
    list_append(&p->breaks, &b->link);
}

bool pmap_break_end(struct pmap *p, struct pmap_break *b)
{
    list_remove(&b->link);
    if (b->dropped)
        return false;
    set_busy(p, b, false);
    pmap_wake(p, b->first, b->first + b->pages - 1, OK);
    return true;
}

void pmap_break_drop(struct pmap *p, u64 first, u64 pages)
{
    struct pmap_break *b;

    LIST_FOR_EACH(b, &p->breaks, link)
    {
        if (b->first < first + pages && first < b->first + b->pages)
            b->dropped = true;
    }
}
