/* SPDX-License-Identifier: BSD-2-Clause */
/* How the card is: the health buffer and counter of the initialization segment (Linux: health.c), in words. */
#include <stdarg.h>
#include "drivers/net/mlx/mlx.h"
#include "kernel/log.h"

#define PERIOD SEC(2)
#define MISSES 3 /* times that the counter may stand still */

static const struct {
    u8 syndrome;
    const char *name;
} syndromes[] = {
    {0x01, "firmware internal error"},
    {0x07, "firmware asks for a reset: its processor does not respond"},
    {0x08, "unrecoverable hardware error"},
    {0x09, "firmware CRC error"},
    {0x0a, "ICM fetch PCI error"},
    {0x0b, "hardware fatal error: page fault"},
    {0x0c, "asynchronous event queue buffer overrun"},
    {0x0d, "event queue in error"},
    {0x0e, "invalid event queue reference"},
    {0x0f, "FFSER error"},
    {0x10, "high temperature"},
    {0x11, "ICM PCI poisoned error"},
    {0x12, "trusted firmware error"},
};

const char *mlx_syndrome_name(u32 syndrome)
{
    for (unsigned i = 0; i < COUNT_OF(syndromes); i++)
        if (syndromes[i].syndrome == syndrome)
            return syndromes[i].name;
    return "unknown syndrome";
}

void mlx_fail(struct mlx *m, const char *format, ...)
{
    char text[160];
    va_list args;
    bool first;

    va_start(args, format);
    str_vformat(text, sizeof(text), format, args);
    va_end(args);
    lock_acquire(&m->base.lock);
    first = m->state != MLX_DEAD;
    if (first)
        str_copy(m->failure.text, sizeof(m->failure.text), text);
    m->state = MLX_DEAD;
    m->qps.dead = true; /* what is posted is flushed */
    lock_release(&m->base.lock);
    if (!first)
        return;
    log_error("%s failed: %s", m->name, text);
    if (m->thread)
        thread_wake(m->thread);
}

static bool fail_by_buffer(struct mlx *m, u32 syndrome, u32 severity_word)
{
    mlx_fail(m, "%s (syndrome 0x%x, extended 0x%x, severity %u%s)",
             mlx_syndrome_name(syndrome >> 16 & 0xff), syndrome >> 16 & 0xff, syndrome & 0xffff,
             severity_word >> 24 & 7, severity_word >> 31 ? ", it asks for a reset" : "");
    return false;
}

/* All ones are what a function reads as that has left the bus. */
bool mlx_health(struct mlx *m)
{
    u32 version = mlx_iseg(m, iseg_health_fw_version);
    u32 severity, syndrome, counter;

    if (m->state == MLX_DEAD)
        return false;
    if (version == 0xffffffff) {
        mlx_fail(m, "its registers read all ones: it has left the bus");
        return false;
    }
    if (m->broken_how) {
        mlx_fail(m, "completion queue 0x%x is in error: %s", m->broken_cq,
                 m->broken_how == MLX_CQ_ERR_OVERRUN ? "it was full" : "it could not be written");
        return false;
    }
    lock_acquire(&m->base.lock);
    severity = mlx_reg_read(m->bar, mlx_offset(iseg_health_severity));
    syndrome = mlx_reg_read(m->bar, mlx_offset(iseg_synd));
    counter = mlx_reg_read(m->bar, mlx_offset(iseg_health_counter));
    lock_release(&m->base.lock);
    if (severity >> 31 || syndrome >> 16 & 0xff)
        return fail_by_buffer(m, syndrome, severity);
    m->look_at_health = false;
    if (time_now() < m->health_next)
        return true;
    m->health_next = time_now() + PERIOD;
    m->health_misses = counter == m->health_counter ? m->health_misses + 1 : 0;
    m->health_counter = counter;
    if (m->health_misses < MISSES)
        return true;
    mlx_fail(m, "its health counter stands still for %u s", (u32)(MISSES * PERIOD / SEC(1)));
    return false;
}
