/* SPDX-License-Identifier: BSD-2-Clause */
/* `migrate` and what belongs to it. */
#include "kernel/console.h"
#include "kernel/shell.h"
#include "kernel/string.h"
#include "kernel/thread.h"
#include "migrate/host.h"
#include "migrate/incoming.h"
#include "vmm/shell/shell_vm.h"

#define LOOK   MSEC(500)
#define CTRL_C 3

/* --- who and where ---------------------------------------------------------------------------------------- */

static void complete_direction(struct shell_completion *c)
{
    shell_offer(c, "", "to");
    shell_offer(c, "", "from");
}

static void complete_host(struct shell_completion *c)
{
    struct agent *a = agent_host(NULL);

    for (u32 i = 0; a && i < a->peers; i++)
        shell_offer(c, "", a->peer[i].name);
}

/* --- progress ------------------------------------------------------------------------------------------------ */

static u64 mib(u64 bytes)
{
    return bytes >> 20;
}

static void print_progress(const struct move *m)
{
    const struct move_figures *f = &m->figures;
    u64 ms = (time_now() - f->began) / MSEC(1), bytes = f->pages_written * PAGE_SIZE;

    console_printf("\r%-12s round %-2u %6llu MiB written, %6llu pages stay, %5llu KB/s, %llu s  ",
                   move_phase_name[m->phase], f->round, (unsigned long long)mib(bytes),
                   (unsigned long long)f->pages_deferred, (unsigned long long)(bytes / MAX(ms, 1)),
                   (unsigned long long)(ms / 1000));
}

static void print_result(const struct move *m)
{
    const struct move_figures *f = &m->figures;
    u64 ms = (f->ended - f->began) / MSEC(1);

    console_printf("\r%-78s\r", "");
    if (m->phase != MOVE_DONE) {
        console_printf("%s: %s\n", move_phase_name[m->phase], m->text);
        return;
    }
    console_printf("%s runs on %s after %llu.%03llu s; it stood still for %llu.%03llu ms\n",
                   m->name, m->peer->name, (unsigned long long)(ms / 1000),
                   (unsigned long long)(ms % 1000), (unsigned long long)(f->downtime / MSEC(1)),
                   (unsigned long long)(f->downtime / 1000 % 1000));
    console_printf(
        "%llu pages written in %u rounds, %llu of them again; %llu stay here, described in "
        "%llu KiB\n",
        (unsigned long long)f->pages_written, f->round, (unsigned long long)f->pages_resent,
        (unsigned long long)f->pages_deferred, (unsigned long long)(f->description_bytes >> 10));
}

/* --- migrate --------------------------------------------------------------------------------------------------- */

struct order {
    const char *vm, *peer;
    struct move *move;
};

static enum err order_to(struct agent *a, void *ctx, struct why *why)
{
    struct order *o = ctx;

    return agent_move_to(a, o->vm, o->peer, &o->move, why);
}

static enum err order_from(struct agent *a, void *ctx, struct why *why)
{
    const struct order *o = ctx;

    return agent_move_from(a, o->vm, o->peer, why);
}

/* Ctrl-C leaves it going. */
static bool wait_for(const struct move *m)
{
    while (m->phase < MOVE_DONE) {
        print_progress(m);
        if (console_read(LOOK) == CTRL_C)
            return false;
    }
    return true;
}

static enum err move_to(struct order *o, struct why *why)
{
    enum err e = agent_call(order_to, o, why);

    if (e)
        return e;
    if (!wait_for(o->move)) {
        console_printf(
            "\n%s goes on moving; `migrate list` shows it, `migrate cancel %s` ends it\n", o->vm,
            o->vm);
        return OK;
    }
    print_result(o->move);
    return o->move->phase == MOVE_DONE ? OK : why_set(why, E_IO, "%s did not move", o->vm);
}

static enum err run_migrate(unsigned argc, char **argv, struct why *why)
{
    struct order o = {.vm = argv[0], .peer = argv[2]};
    enum err e;

    (void)argc;
    if (str_equal(argv[1], "to"))
        return move_to(&o, why);
    if (!str_equal(argv[1], "from"))
        return why_set(why, E_INVAL, "'%s' is neither `to` nor `from`", argv[1]);
    e = agent_call(order_from, &o, why);
    if (!e)
        console_printf("asked %s for %s; `migrate list` shows what comes of it\n", o.peer, o.vm);
    return e;
}
SHELL_COMMAND(migrate, .name = "migrate", .args = "VM to|from HOST", .min = 3, .max = 3,
              .run = run_migrate, .help = "move a running VM to another host, or from there",
              .complete = {shell_complete_vm, complete_direction, complete_host},
              .more =
                  "The VM's own pages go by RDMA while it runs. Pages that it shares with others "
                  "here stay here; the other host fetches one when the VM writes it, and all "
                  "of them over time. Ctrl-C leaves it going.");

/* --- the others ---------------------------------------------------------------------------------------------------- */

static void print_move(const struct move *m)
{
    const struct move_figures *f = &m->figures;

    if (m->phase == MOVE_FREE)
        return;
    console_printf("  %-16.16s  %-4s  %-12.12s  %-12s  %5u  %7llu  %7llu\n", m->name,
                   m->outgoing ? "to" : "from", m->peer->name, move_phase_name[m->phase], f->round,
                   (unsigned long long)f->pages_written, (unsigned long long)f->pages_deferred);
    if (m->text[0])
        shell_print_wrapped(0, 4, m->text);
}

static void print_moves(const struct agent *a, bool active)
{
    bool any = false;

    for (unsigned i = 0; i < AGENT_MOVES; i++) {
        const struct move *m[] = {&a->out[i], &a->in[i]};

        for (unsigned k = 0; k < 2; k++) {
            if (m[k]->phase == MOVE_FREE || (m[k]->phase < MOVE_DONE) != active)
                continue;
            if (!any)
                console_printf("  %-16s  %-4s  %-12s  %-12s  %5s  %7s  %7s\n", "VM", "", "host",
                               "phase", "round", "written", "stay");
            any = true;
            print_move(m[k]);
        }
    }
    if (!any)
        console_print(active ? "No VM moves.\n" : "No VM has moved.\n");
}

static enum err run_list(unsigned argc, char **argv, struct why *why)
{
    struct agent *a = agent_host(why);

    (void)argc, (void)argv;
    if (!a)
        return E_STATE;
    print_moves(a, true);
    return OK;
}
SHELL_COMMAND(migrate_list, .name = "migrate list", .run = run_list, .help = "which VMs move now");

static enum err run_history(unsigned argc, char **argv, struct why *why)
{
    struct agent *a = agent_host(why);

    (void)argc, (void)argv;
    if (!a)
        return E_STATE;
    print_moves(a, false);
    return OK;
}
SHELL_COMMAND(migrate_history, .name = "migrate history", .run = run_history,
              .help = "how the last migrations ended");

static const struct move *find_move(const struct agent *a, const char *vm)
{
    const struct move *best = NULL;

    for (unsigned i = 0; i < AGENT_MOVES; i++) {
        const struct move *m[] = {&a->out[i], &a->in[i]};

        for (unsigned k = 0; k < 2; k++)
            if (m[k]->phase != MOVE_FREE && str_equal(m[k]->name, vm) &&
                (!best || m[k]->figures.began > best->figures.began))
                best = m[k];
    }
    return best;
}

static void row(const char *label, u64 value)
{
    console_printf("  %-24s %12llu\n", label, (unsigned long long)value);
}

/* What came of the pages that stayed behind: so far, or in the end. */
static void print_borrowed(const struct agent *a, const struct move *m)
{
    const struct borrow_figures *f = &m->borrowed;

    for (unsigned i = 0; i < AGENT_BORROWS; i++)
        if (a->borrow[i].used && epoch_equal(&a->borrow[i].epoch, &m->epoch))
            f = &a->borrow[i].figures;
    row("faults on pages away", f->faults);
    row("of these that waited", f->blocking);
    row("fetched to be written", f->fetched_write);
    row("fetched to be read", f->fetched_read);
    row("fetched ahead", f->prefetched);
    row("drained", f->drained);
    row("fetched twice", f->fetched_twice);
    row("frames taken over", f->taken_over);
    row("slots returned", f->returned);
}

static enum err run_info(unsigned argc, char **argv, struct why *why)
{
    struct agent *a = agent_host(why);
    const struct move *m = a ? find_move(a, argv[0]) : NULL;
    const struct move_figures *f;

    (void)argc;
    if (!a)
        return E_STATE;
    if (!m)
        return why_set(why, E_NOENT, "%s has not moved since this host was started", argv[0]);
    f = &m->figures;
    shell_row("VM", "%s %s %s: %s%s%s", m->name, m->outgoing ? "to" : "from", m->peer->name,
              move_phase_name[m->phase], m->text[0] ? ", " : "", m->text);
    row("rounds", f->round);
    row("pages with content", f->nonzero_pages);
    row("of these shared outside", f->shared_pages);
    row("pages written", f->pages_written);
    row("of these again", f->pages_resent);
    row("pages that stay", f->pages_deferred);
    row("pages shared inside", f->pages_alias);
    row("pages at home there", f->pages_home);
    row("pages found there", f->pages_taken_over);
    row("bytes of description", f->description_bytes);
    row("pages at the stop", f->stop_pages);
    row("messages at the stop", f->stop_messages);
    row("downtime, us", f->downtime / 1000);
    if (!m->outgoing)
        print_borrowed(a, m);
    return OK;
}
SHELL_COMMAND(migrate_info, .name = "migrate info", .args = "VM", .min = 1, .max = 1,
              .run = run_info, .help = "the figures of a VM's last migration",
              .complete = {shell_complete_vm});

static enum err order_cancel(struct agent *a, void *ctx, struct why *why)
{
    return agent_cancel(a, ctx, why);
}

static enum err run_cancel(unsigned argc, char **argv, struct why *why)
{
    (void)argc;
    return agent_call(order_cancel, argv[0], why);
}
SHELL_COMMAND(migrate_cancel, .name = "migrate cancel", .args = "VM", .min = 1, .max = 1,
              .run = run_cancel, .help = "end a migration; the VM stays where it is",
              .complete = {shell_complete_vm});

static enum err order_resolve(struct agent *a, void *ctx, struct why *why)
{
    const struct order *o = ctx;

    return agent_peer_is_off(a, o->vm, o->peer, why);
}

static enum err run_resolve(unsigned argc, char **argv, struct why *why)
{
    struct order o = {.vm = argv[0], .peer = argv[2]};

    (void)argc;
    if (!str_equal(argv[1], "--peer-is-off"))
        return why_set(why, E_INVAL, "'%s' is not `--peer-is-off`", argv[1]);
    return agent_call(order_resolve, &o, why);
}
static void complete_is_off(struct shell_completion *c)
{
    shell_offer(c, "", "--peer-is-off");
}
SHELL_COMMAND(migrate_resolve, .name = "migrate resolve", .args = "VM --peer-is-off HOST", .min = 3,
              .max = 3, .run = run_resolve, .help = "say that a host is off that a VM waits for",
              .complete = {shell_complete_vm, complete_is_off, complete_host},
              .more =
                  "For a VM that came from HOST and waits to hear whether it may run here, and for "
                  "one that is to be started, which HOST may have. If HOST is not off, the VM may "
                  "run twice: be sure.");
