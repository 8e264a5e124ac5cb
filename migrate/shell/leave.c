/* SPDX-License-Identifier: BSD-2-Clause */
/* What this host lends is handed over: by `lend recall`, and before it goes down, when nothing may be on its way. */
#include "kernel/console.h"
#include "kernel/init.h"
#include "kernel/shell.h"
#include "kernel/string.h"
#include "kernel/timer.h"
#include "migrate/host.h"

#define LOOK  MSEC(100)
#define QUIET SEC(15) /* without a page handed over, after which a peer counts as dead */

static enum err refuse_moves(struct agent *a, struct why *why)
{
    const struct move *m = agent_active_move(a, NULL);

    if (!m)
        return OK;
    return why_set(why, E_STATE,
                   "%s is on its way %s %s (%s): let it arrive; until it is handed over, `migrate "
                   "cancel %s` keeps it where it is",
                   m->name, m->outgoing ? "to" : "from", m->peer->name, move_phase_name[m->phase],
                   m->name);
}

static u64 pages_lent(const struct agent *a)
{
    u64 left = 0;

    for (unsigned i = 0; i < AGENT_LEASES; i++)
        left += a->lease[i].used && !a->lease[i].voided ? a->lease[i].left : 0;
    return left;
}

/* Names the VMs that need what is here. */
static enum err name_lost(const struct agent *a, struct why *why)
{
    char text[160] = "";

    for (unsigned i = 0; i < AGENT_LEASES; i++) {
        const struct lease *l = &a->lease[i];
        size_t used = strlen(text);

        if (l->used && !l->voided && l->left)
            str_format(text + used, sizeof(text) - used, "%s%s on %s", used ? ", " : "", l->vm,
                       l->peer->name);
    }
    return why_set(why, E_STATE,
                   "%llu pages are still lent; try again when they can be fetched, or lose with "
                   "--force: %s",
                   (unsigned long long)pages_lent(a), text);
}

static enum err recall(struct agent *a, void *ctx, struct why *why)
{
    (void)ctx, (void)why;
    agent_recall(a);
    return OK;
}

static enum err run_recall(unsigned argc, char **argv, struct why *why)
{
    (void)argc, (void)argv;
    return agent_call(recall, NULL, why);
}
SHELL_COMMAND(lend_recall, .name = "lend recall", .run = run_recall,
              .help = "ask other hosts to fetch what they borrow, at once");

static enum err drain(const struct agent *a, struct why *why)
{
    u64 left = pages_lent(a), since = time_now(), now_left;
    enum err e;

    if (!left)
        return OK;
    console_print("Other hosts fetch what they borrow; a key ends the wait.\n");
    e = agent_call(recall, NULL, why);
    while (!e && (now_left = pages_lent(a))) {
        if (now_left != left)
            since = time_now();
        left = now_left;
        console_printf("\r  %llu pages left  ", (unsigned long long)left);
        if (time_now() - since > QUIET || console_read(LOOK) >= 0)
            break;
    }
    console_printf("\r  %llu pages left  \n", (unsigned long long)pages_lent(a));
    return e ? e : pages_lent(a) ? name_lost(a, why) : OK;
}

static enum err leave(struct why *why)
{
    struct why none;
    struct agent *a = agent_host(&none);
    enum err e = a ? refuse_moves(a, why) : OK;

    return e || !a ? e : drain(a, why);
}

static void add_hooks(const struct boot_info *boot)
{
    static struct shell_hooks hooks = {.leave = leave};

    (void)boot;
    shell_add_hooks(&hooks);
}
INIT_STEP(4, add_hooks);
