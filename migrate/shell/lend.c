/* SPDX-License-Identifier: BSD-2-Clause */
/* `peers`, `lend` and `borrow`: who is there, and who has what from whom. */
#include "kernel/console.h"
#include "kernel/shell.h"
#include "kernel/string.h"
#include "migrate/host.h"

static const char *const state_name[] = {
    [PEER_DOWN] = "down", [PEER_ASKED] = "asked", [PEER_OPENED] = "opening", [PEER_UP] = "up"};

/* The agent's thread may free the link as soon as the lock is released. */
static u64 messages_of(struct peer *p)
{
    u64 messages;

    lock_acquire(&p->lock);
    messages = p->link ? p->link->messages_received : 0;
    lock_release(&p->lock);
    return messages;
}

static enum err run_peers(unsigned argc, char **argv, struct why *why)
{
    struct agent *a = agent_host(why);
    char text[IP4_TEXT];

    (void)argc, (void)argv;
    if (!a)
        return E_STATE;
    console_printf("  %-16s  %-15s  %-7s  %5s  %8s  %8s\n", "host", "address", "state", "links",
                   "messages", "refused");
    for (u32 i = 0; i < a->peers; i++) {
        struct peer *p = &a->peer[i];

        console_printf("  %-16.16s  %-15s  %-7s  %5llu  %8llu  %8llu\n", p->name,
                       ip4_text(text, p->address), state_name[p->state],
                       (unsigned long long)p->links, (unsigned long long)messages_of(p),
                       (unsigned long long)p->refused);
        if (p->state != PEER_UP && p->why[0])
            console_printf("    %s\n", p->why);
    }
    if (a->strangers)
        console_printf("  %llu hellos came from hosts that are no peers\n",
                       (unsigned long long)a->strangers);
    return OK;
}
SHELL_COMMAND(peers, .name = "peers", .run = run_peers,
              .help = "the hosts that VMs can move to and from");

static enum err run_lend(unsigned argc, char **argv, struct why *why)
{
    const struct agent *a = agent_host(why);
    bool any = false;

    (void)argc, (void)argv;
    if (!a)
        return E_STATE;
    for (unsigned i = 0; i < AGENT_LEASES; i++) {
        const struct lease *l = &a->lease[i];

        if (!l->used || !l->lent)
            continue;
        if (!any)
            console_printf("  %-16s  %-16s  %8s  %8s\n", "VM", "host", "lent", "left");
        any = true;
        console_printf("  %-16.16s  %-16.16s  %8llu  %8llu%s\n", l->vm, l->peer->name,
                       (unsigned long long)l->slots, (unsigned long long)l->left,
                       l->voided     ? "  ending"
                       : l->recalled ? "  recalled"
                                     : "");
    }
    if (!any)
        console_print("Nothing is lent.\n");
    return OK;
}
SHELL_COMMAND(lend, .name = "lend", .run = run_lend,
              .help = "the frames that VMs on other hosts show");

/* What it would cost if the lender died now. */
static void print_exposure(const struct borrow *b)
{
    u64 rate = b->peer->agent->drain_rate;
    char text[200], until[64];

    if (rate)
        str_format(until, sizeof(until), "in %llu s at %llu pages/s",
                   (unsigned long long)((b->left + rate - 1) / rate), (unsigned long long)rate);
    else
        str_copy(until, sizeof(until), "never: `borrow rate` is 0");
    str_format(text, sizeof(text),
               "if %s died now, %s would be lost: %llu KiB of its memory are only there; all is "
               "here %s",
               b->peer->name, b->name, (unsigned long long)(b->left * PAGE_SIZE >> 10), until);
    console_print("    ");
    shell_print_wrapped(4, 4, text);
}

static void print_borrow(const struct borrow *b)
{
    const struct borrow_figures *f = &b->figures;

    console_printf("  %-16.16s  %-16.16s  %7llu  %7llu  %7llu  %7llu\n", b->name, b->peer->name,
                   (unsigned long long)b->slots, (unsigned long long)b->left,
                   (unsigned long long)f->faults, (unsigned long long)f->blocking);
    console_printf(
        "    fetched: %llu for writes, %llu for reads, %llu ahead, %llu drained; %llu twice; "
        "%llu from copies\n",
        (unsigned long long)f->fetched_write, (unsigned long long)f->fetched_read,
        (unsigned long long)f->prefetched, (unsigned long long)f->drained,
        (unsigned long long)f->fetched_twice, (unsigned long long)f->from_copy);
    if (b->left && !b->lost)
        print_exposure(b);
    if (b->lost)
        console_print("    lost: the host was restarted\n");
    else if (b->stuck_said)
        console_print("    a vCPU waits, and the host does not answer\n");
}

static enum err run_borrow(unsigned argc, char **argv, struct why *why)
{
    const struct agent *a = agent_host(why);
    bool any = false;

    (void)argc, (void)argv;
    if (!a)
        return E_STATE;
    for (unsigned i = 0; i < AGENT_BORROWS; i++) {
        if (!a->borrow[i].used || !a->borrow[i].active)
            continue;
        if (!any)
            console_printf("  %-16s  %-16s  %7s  %7s  %7s  %7s\n", "VM", "host", "frames", "left",
                           "faults", "waited");
        any = true;
        print_borrow(&a->borrow[i]);
    }
    if (!any)
        console_print("Nothing is borrowed.\n");
    return OK;
}
SHELL_COMMAND(borrow, .name = "borrow", .run = run_borrow,
              .help = "the frames of other hosts that VMs here show");

static enum err set_drain(struct agent *a, void *ctx, struct why *why)
{
    (void)why;
    a->drain_rate = *(u64 *)ctx;
    return OK;
}

static enum err run_drain(unsigned argc, char **argv, struct why *why)
{
    u64 rate;

    (void)argc;
    if (!str_to_u64(argv[0], &rate) || rate > 10000000)
        return why_set(why, E_INVAL, "'%s' is not a number of pages a second, up to 10000000",
                       argv[0]);
    return agent_call(set_drain, &rate, why);
}
SHELL_COMMAND(
    borrow_rate, .name = "borrow rate", .args = "PAGES", .min = 1, .max = 1, .run = run_drain,
    .help = "how many borrowed pages a second to fetch", .complete = {shell_complete_nothing},
    .more = "0 fetches none but those that are needed. What is borrowed is lost with the host "
            "that lends it.");

static enum err set_trust(struct agent *a, void *ctx, struct why *why)
{
    (void)why;
    a->trusts = *(bool *)ctx;
    return OK;
}

static enum err run_trust(unsigned argc, char **argv, struct why *why)
{
    bool on = str_equal(argv[0], "on");

    (void)argc;
    if (!on && !str_equal(argv[0], "off"))
        return why_set(why, E_INVAL, "'%s' is neither `on` nor `off`", argv[0]);
    return agent_call(set_trust, &on, why);
}

static void complete_on_off(struct shell_completion *c)
{
    shell_offer(c, "", "on");
    shell_offer(c, "", "off");
}
SHELL_COMMAND(
    borrow_trust, .name = "borrow trust", .args = "on|off", .min = 1, .max = 1, .run = run_trust,
    .help = "whether a MAC is enough to know what a page holds", .complete = {complete_on_off},
    .more = "For VMs that come from now on. With `on`, a page whose content is here already is "
            "not fetched if its MAC, which the source computes, is right; with `off` it is "
            "read once and compared.");

static enum err set_policy(struct agent *a, void *ctx, struct why *why)
{
    (void)why;
    a->cache_reads = *(bool *)ctx;
    return OK;
}

static enum err run_policy(unsigned argc, char **argv, struct why *why)
{
    bool on_write = str_equal(argv[0], "on-write");

    (void)argc;
    if (!on_write && !str_equal(argv[0], "on-access"))
        return why_set(why, E_INVAL, "'%s' is neither `on-write` nor `on-access`", argv[0]);
    return agent_call(set_policy, &on_write, why);
}

static void complete_policy(struct shell_completion *c)
{
    shell_offer(c, "", "on-write");
    shell_offer(c, "", "on-access");
}
SHELL_COMMAND(
    borrow_policy, .name = "borrow policy", .args = "on-write|on-access", .min = 1, .max = 1,
    .run = run_policy, .help = "when a borrowed page becomes the VM's own",
    .complete = {complete_policy},
    .more = "For VMs that come from now on. `on-write`, the default: what is read is fetched once "
            "and may still be shared here; what is written gets a frame of its own. `on-access`: "
            "each page gets its own frame when it is used.");
