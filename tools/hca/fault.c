/* SPDX-License-Identifier: BSD-2-Clause */
/* Faults by option, or at run time over the control socket. */
#include <stdlib.h>
#include <string.h>
#include "tools/hca/hca.h"

static void internal_error(struct hca *h, u32 value)
{
    static const u8 eqe[MLX_EQE_SIZE];

    h->health_synd = (u8)(value ? value : 1);
    h->health_rfr = true;
    eq_event(h, MLX_EVENT_INTERNAL_ERR, 0, eqe);
}

static void health(struct hca *h, u32 value)
{
    h->health_synd = (u8)value;
}

static void stop(struct hca *h, u32 value)
{
    (void)value;
    h->health_stopped = h->now() / 1000000 + 1;
}

static void port_down(struct hca *h, u32 value)
{
    (void)value;
    port_set(h, false);
}

static void port_up(struct hca *h, u32 value)
{
    (void)value;
    port_set(h, true);
}

/* Without a function it is taken by what it happens to. */
static const struct {
    const char *name, *what;
    void (*happen)(struct hca *h, u32 value);
} kinds[FAULT_KINDS] = {
    [FAULT_COMMAND_TIMEOUT] = {"command-timeout", "the command is never answered", NULL},
    [FAULT_INTERNAL_ERROR] = {"internal-error",
                              "an internal error event; syndrome VALUE (1), which asks for a reset",
                              internal_error},
    [FAULT_HEALTH] = {"health", "the health buffer shows syndrome VALUE", health},
    [FAULT_STOPPED] = {"health-stopped", "the health counter stands still", stop},
    [FAULT_PORT_DOWN] = {"port-down", "the link goes down", port_down},
    [FAULT_PORT_UP] = {"port-up", "... and up", port_up},
    [FAULT_PAGE_REQUEST] = {"page-request",
                            "the command waits until its request for VALUE (16) pages was met",
                            NULL},
    [FAULT_CQ_OVERRUN] = {"cq-overrun", "the next completion finds its queue full", NULL},
};

void fault_help(FILE *to)
{
    for (u32 i = 0; i < FAULT_KINDS; i++)
        fprintf(to, "    %-16s %s\n", kinds[i].name, kinds[i].what);
}

static bool parse(struct fault *f, const char *text)
{
    size_t name = strcspn(text, "=@");
    char *end = (char *)text + name;

    for (u32 i = 0; i < FAULT_KINDS; i++)
        if (strlen(kinds[i].name) == name && memcmp(kinds[i].name, text, name) == 0) {
            *f = (struct fault){.kind = (u8)i, .armed = true};
            if (*end == '=')
                f->value = (u32)strtoul(end + 1, &end, 0);
            if (*end == '@')
                f->at = strtoul(end + 1, &end, 0);
            return *end == 0;
        }
    return false;
}

static void happen(struct hca *h, struct fault *f)
{
    f->armed = false;
    hca_log(h, LOG_INFO, "fault: %s", kinds[f->kind].name);
    kinds[f->kind].happen(h, f->value);
}

bool fault_add(struct hca *h, const char *text)
{
    for (u32 i = 0; i < COUNT_OF(h->fault); i++) {
        struct fault *f = &h->fault[i];

        if (f->armed)
            continue;
        if (!parse(f, text)) {
            f->armed = false;
            return false;
        }
        if (!f->at && kinds[f->kind].happen)
            happen(h, f);
        return true;
    }
    return false;
}

void fault_command(struct hca *h)
{
    for (u32 i = 0; i < COUNT_OF(h->fault); i++)
        if (h->fault[i].armed && kinds[h->fault[i].kind].happen && h->fault[i].at <= h->commands)
            happen(h, &h->fault[i]);
}

bool fault_take(struct hca *h, enum fault_kind kind, u32 *value)
{
    for (u32 i = 0; i < COUNT_OF(h->fault); i++) {
        struct fault *f = &h->fault[i];

        if (!f->armed || f->kind != kind || f->at > h->commands)
            continue;
        f->armed = false;
        hca_log(h, LOG_INFO, "fault: %s", kinds[kind].name);
        if (value)
            *value = f->value;
        return true;
    }
    return false;
}
