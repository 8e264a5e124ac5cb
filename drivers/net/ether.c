/* SPDX-License-Identifier: BSD-2-Clause */
#include "drivers/net/ether.h"
#include "kernel/log.h"

#define BUDGET        64 /* frames in one turn */
#define SPIN_TIME     USEC(200)
#define EXPECT_PERIOD MSEC(1)
#define IDLE_PERIOD   MSEC(5)
#define EXPECT_TIME   SEC(1) /* after the last frame */

static struct ether *host;

const char *mac_text(char text[MAC_TEXT], mac_t m)
{
    str_format(text, MAC_TEXT, "%02x:%02x:%02x:%02x:%02x:%02x", m.b[0], m.b[1], m.b[2], m.b[3],
               m.b[4], m.b[5]);
    return text;
}

struct ether *ether_host(void)
{
    return host;
}

enum err ether_register(struct ether *e, struct why *why)
{
    char mac[MAC_TEXT];

    if (host)
        return why_set(why, E_EXIST, "this host uses its first NIC only, which is %s",
                       mac_text(mac, host->mac));
    host = e;
    e->link = e->ops->link(e);
    log_info("NIC: %s, %s, link %s", e->name, mac_text(mac, e->mac), e->link ? "up" : "down");
    return OK;
}

void ether_add_service(struct ether *e, struct ether_service *s)
{
    struct ether_service **end = &e->services;

    while (*end)
        end = &(*end)->next;
    s->next = NULL;
    __atomic_store_n(end, s, __ATOMIC_RELEASE); /* the NIC's thread may be looking */
}

/* --- frames -------------------------------------------------------------------------------------- */

u8 *ether_take(struct ether *e)
{
    u8 *buffer;

    lock_acquire(&e->lock);
    buffer = e->ops->take(e);
    if (!buffer)
        e->counters.no_room++;
    lock_release(&e->lock);
    return buffer;
}

void ether_give_back(struct ether *e, u8 *buffer)
{
    lock_acquire(&e->lock);
    e->ops->give_back(e, buffer);
    lock_release(&e->lock);
}

void ether_send(struct ether *e, u8 *buffer, u32 size)
{
    if (size < ETHER_MIN) {
        memset(buffer + size, 0, ETHER_MIN - size);
        size = ETHER_MIN;
    }
    lock_acquire(&e->lock);
    e->counters.sent++;
    e->counters.sent_bytes += size;
    e->active_ns = time_now();
    e->ops->send(e, buffer, size);
    lock_release(&e->lock);
}

void ether_received(struct ether *e, const u8 *frame, u32 size)
{
    e->counters.received++;
    e->counters.received_bytes += size;
    e->active_ns = time_now();
    if (e->receive)
        e->receive(e->receive_ctx, frame, size);
}

/* --- the NIC's thread ------------------------------------------------------------------------------ */

bool ether_turn(struct ether *e)
{
    bool more = e->ops->poll(e, BUDGET) > 0;

    for (struct ether_service *s = e->services; s; s = s->next)
        more |= s->poll(s);
    return more;
}

static bool is_busy(const struct ether *e)
{
    bool busy = false;

    for (struct ether_service *s = e->services; s; s = s->next)
        busy |= s->busy && s->busy(s);
    return busy;
}

/* When the thread has to look again if nobody wakes it. */
static u64 next_look(const struct ether *e, u64 now)
{
    u64 next = now + (now - e->active_ns < EXPECT_TIME || is_busy(e) ? EXPECT_PERIOD : IDLE_PERIOD);

    for (struct ether_service *s = e->services; s; s = s->next)
        next = MIN(next, s->deadline(s));
    return next;
}

static void watch_link(struct ether *e)
{
    bool link = e->ops->link(e);

    if (link == e->link)
        return;
    e->link = link;
    log_info("NIC: %s, link %s", e->name, link ? "up" : "down");
}

static void ether_thread(void *argument)
{
    struct ether *e = argument;
    u64 worked = time_now(), looked = worked;

    for (;;) {
        bool more = ether_turn(e);
        u64 now = time_now(), next;

        if (more)
            worked = now;
        if (more || (now - worked < SPIN_TIME && is_busy(e))) {
            thread_yield();
            continue;
        }
        if (now - looked > SEC(1)) {
            watch_link(e);
            looked = now;
        }
        next = next_look(e, now);
        if (next > now)
            thread_sleep_until(next);
        else
            thread_yield();
    }
}

enum err ether_start(struct ether *e)
{
    return thread_create(&e->thread, "net", ether_thread, e);
}

void ether_kick(struct ether *e)
{
    if (e->thread && e->thread != thread_current())
        thread_wake(e->thread);
}
