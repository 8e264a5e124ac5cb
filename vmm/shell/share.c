/* SPDX-License-Identifier: BSD-2-Clause */
/* The command `share`. */
#include "kernel/console.h"
#include "kernel/frames.h"
#include "kernel/string.h"
#include "vmm/share/group.h"
#include "vmm/share/share.h"
#include "vmm/shell/shell_vm.h"

static unsigned long long pages_in(enum page_state state)
{
    unsigned long long n = 0;
    struct vm *vm;

    for (unsigned i = 0; (vm = vm_at(i)); i++)
        n += vm->pmap.count[state];
    return n;
}

static void print_scanner(const struct share_stats *s)
{
    unsigned long long busy = s->busy_ns * 1000 / MAX(time_now(), 1);

    shell_row("sharing", "%s", s->on ? "on" : "off");
    shell_row("rate", "%llu pages/s at most, %llu now", (unsigned long long)s->rate,
              (unsigned long long)s->rate_now);
    shell_row(
        "looked at", "%llu pages in %llu rounds: %llu written lately, %llu known, %llu hashed",
        (unsigned long long)s->looked, (unsigned long long)s->rounds, (unsigned long long)s->young,
        (unsigned long long)s->unchanged, (unsigned long long)s->hashed);
    shell_row("merged", "%llu pages; %llu zero pages given back; %llu undone",
              (unsigned long long)s->merges, (unsigned long long)s->zeros,
              (unsigned long long)s->undone);
    shell_row("2 MiB", "%llu put together, %llu split", (unsigned long long)s->promotions,
              (unsigned long long)s->splits);
    shell_row("CPU", "%llu.%llu %% since boot, for %llu pages/s", busy / 10, busy % 10,
              (unsigned long long)(s->looked * 1000000 / MAX(s->busy_ns / 1000, 1)));
}

static void print_shared(void)
{
    unsigned long long shared = pages_in(PAGE_SHARED), frames;
    struct share_group_info g;
    struct frame_stats f;

    frames_stats(&f);
    frames = f.count[FRAME_SHARED];
    shell_row("shared", "%llu pages show %llu frames", shared, frames);
    shell_row("references", "%llu to these frames", (unsigned long long)f.shared_users);
    shell_row("saved", "%llu MiB", (shared - MIN(frames, shared)) >> 8);
    for (unsigned i = 0; share_group_at(i, &g); i++)
        shell_row(i ? "" : "groups", "%s, %u VM%s, its secret %s", g.name, g.vms,
                  g.vms == 1 ? "" : "s", g.has_secret ? "from ferry.cfg" : "made up");
}

/* Of a VM's pages, the part that others show as well: a frame that n pages show costs each the n-th part of it. In
 * thousandths of a page. */
static u64 saved_by(struct pmap *p)
{
    u64 saved = 0, pages = pmap_pages(p);

    for (u64 first = 0; first < pages; first += PMAP_RECORDS) {
        lock_acquire(&p->lock);
        for (u64 i = first; p->count[PAGE_SHARED] && i < MIN(first + PMAP_RECORDS, pages); i++) {
            unsigned level;

            if (pmap_state(p, i) == PAGE_SHARED)
                saved += 1000 - 1000 / MAX(rmap_count(ptab_address(
                                               ptab_lookup(&p->slat.table, pmap_gpa(i).v, &level))),
                                           1);
        }
        lock_release(&p->lock);
    }
    return saved;
}

static void print_vms(void)
{
    struct share_vm_stats s;
    struct vm *vm;

    if (vm_at(0))
        console_printf("\n%-14s %8s %8s %9s %8s %8s %8s %8s\n", "VM", "private", "shared",
                       "saved MiB", "merged", "zeroed", "broken", "passes");
    for (unsigned i = 0; (vm = vm_at(i)); i++) {
        share_get_vm_stats(&vm->pmap, &s);
        console_printf("%-14.14s %8llu %8llu %9llu %8llu %8llu %8llu %8llu\n", vm->config.name,
                       (unsigned long long)vm->pmap.count[PAGE_PRIVATE],
                       (unsigned long long)vm->pmap.count[PAGE_SHARED],
                       (unsigned long long)(saved_by(&vm->pmap) / 1000) >> 8,
                       (unsigned long long)s.merges, (unsigned long long)s.zeros,
                       (unsigned long long)vm->pmap.copied, (unsigned long long)s.passes);
    }
}

static enum err set_rate(const char *word, struct why *why)
{
    u64 rate;

    if (!word || !str_to_u64(word, &rate) || !rate || rate > SHARE_RATE_MAX)
        return why_set(why, E_INVAL, "expected a rate from 1 to %u pages a second behind `rate`",
                       SHARE_RATE_MAX);
    share_set_rate(rate);
    return OK;
}

static enum err run_share(unsigned argc, char **argv, struct why *why)
{
    struct share_stats s;

    if (argc && str_equal(argv[0], "rate"))
        return set_rate(argc > 1 ? argv[1] : NULL, why);
    if (argc > 1)
        return why_set(why, E_INVAL, "only `rate` has a number behind it");
    if (!argc) {
        share_get_stats(&s);
        print_scanner(&s);
        print_shared();
        print_vms();
    } else if (str_equal(argv[0], "now")) {
        return share_now(why);
    } else if (str_equal(argv[0], "on") || str_equal(argv[0], "off")) {
        share_set(str_equal(argv[0], "on"));
    } else {
        return why_set(why, E_INVAL, "expected on, off, now or rate N");
    }
    return OK;
}

static void complete_what(struct shell_completion *c)
{
    static const char *const words[] = {"on", "off", "now", "rate"};

    for (unsigned i = 0; i < COUNT_OF(words); i++)
        shell_offer(c, words[i], "");
}
SHELL_COMMAND(
    share, .name = "share", .args = "[on|off|now|rate N]", .max = 2, .run = run_share,
    .help = "equal pages that VMs have in common, and how they are found",
    .complete = {complete_what, shell_complete_nothing},
    .more = "Pages that are equal, and were not written for a while, show one frame; who writes "
            "gets a copy. `now` looks at every page of every VM once, at full speed. `off` "
            "finds no more; what is shared stays shared. Counts of a VM are pages of 4 KiB: merged "
            "with "
            "others, given back because they were zero, made its own again by a write (broken). A "
            "frame that n pages show is counted for each as the n-th part of one.");
