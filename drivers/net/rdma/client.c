/* SPDX-License-Identifier: BSD-2-Clause */
#include "drivers/net/rdma/client.h"
#include "drivers/net/rdma/host.h"
#include "drivers/net/roce/nic.h"
#include "kernel/console.h"

#define OWN_PORT    (RDMA_PORT + 1)
#define ASK_PERIOD  MSEC(300)
#define ASK_TIME    SEC(5)
#define LOOK_PERIOD MSEC(20)
#define CTRL_C      3

/* What came last to our port; by the NIC's thread, under the lock. */
static struct {
    struct lock lock;
    bool is_there;
    ip4_t from;
    u32 size;
    char text[RDMA_TEXT];
    struct thread *reader;
} answer;

static void on_datagram(void *unused, const struct udp_datagram *d)
{
    (void)unused;
    if (d->data_size > sizeof(answer.text))
        return;
    lock_acquire(&answer.lock);
    answer.is_there = true;
    answer.from = d->ip.source;
    answer.size = d->data_size;
    memcpy(answer.text, d->ip.frame + d->data_at, d->data_size);
    lock_release(&answer.lock);
    thread_wake(answer.reader);
}

/* Of the host, to this connection, and whole; else t is undefined. */
static bool take_answer(const struct rdma_client *c, struct rdma_text *t)
{
    bool is_there;

    lock_acquire(&answer.lock);
    is_there = answer.is_there && answer.from.v == c->host.v &&
               !rdma_text_read(t, answer.text, answer.size, NULL) && t->id == c->id;
    answer.is_there = false;
    lock_release(&answer.lock);
    return is_there;
}

static void say(struct rdma_client *c, enum rdma_word word)
{
    struct rdma_text t = {.word = word, .id = c->id, .end = c->link.mine};
    char text[RDMA_TEXT];
    u32 size = rdma_text_write(text, &t);

    (void)!udp_send(c->ip, c->host, OWN_PORT, RDMA_PORT, text, size); /* it is said again */
}

void rdma_client_alive(struct rdma_client *c)
{
    say(c, RDMA_HELLO);
}

/* Says it until `wanted` or a refusal comes. */
static enum err ask(struct rdma_client *c, enum rdma_word word, enum rdma_word wanted,
                    struct rdma_text *t, struct why *why)
{
    u64 end = time_now() + ASK_TIME, next = 0;
    char text[IP4_TEXT];
    bool is_there;

    while (time_now() < end) {
        if (time_now() >= next) {
            say(c, word);
            next = time_now() + ASK_PERIOD;
        }
        is_there = take_answer(c, t);
        if (is_there && t->word == RDMA_REFUSED)
            return why_set(why, E_STATE, "%s refuses: %s", ip4_text(text, c->host), t->reason);
        if (is_there && t->word == wanted)
            return OK;
        if (console_read(0) == CTRL_C)
            return why_set(why, E_STATE, "ended by Ctrl-C");
        thread_sleep_until(MIN(time_now() + LOOK_PERIOD, next));
    }
    return why_set(why, E_TIMEOUT, "%s does not answer on UDP port %u; does it run `rdma listen`?",
                   ip4_text(text, c->host), RDMA_PORT);
}

static enum err find_host(struct rdma_client *c, const char *host, struct why *why)
{
    mac_t mac;

    c->ip = ip_host();
    if (!rdma_host())
        return rdma_host_missing(why);
    if (!ip4_parse(host, &c->host))
        return why_set(why, E_INVAL, "'%s' is no IPv4 address, as 192.0.2.2", host);
    return ip_resolve(c->ip, c->host, SEC(3), &mac, why);
}

enum err rdma_client_begin(struct rdma_client *c, const char *host, enum rdma_mode mode, u32 access,
                           u32 message, struct why *why)
{
    struct rdma_text t;
    enum err e;

    *c = (struct rdma_client){.id = (u32)roce_random()};
    e = find_host(c, host, why);
    if (!e)
        e = rdma_link_open(&c->link, mode, access, message, why);
    if (e)
        return e;
    answer.reader = thread_current();
    if (udp_bind(c->ip, OWN_PORT, on_datagram, NULL))
        return why_set(why, E_EXIST, "UDP port %u, or all of them, are taken", OWN_PORT);
    c->connected = true;
    e = ask(c, RDMA_HELLO, RDMA_READY, &t, why);
    if (!e && t.end.message < message)
        e = why_set(why, E_RANGE, "it takes messages of %u bytes only", t.end.message);
    if (!e && t.end.length < MIB(1))
        e = why_set(why, E_RANGE, "its region has less than 1 MiB");
    return e ? e : rdma_link_connect(&c->link, c->ip, &t.end, why);
}

void rdma_client_end(struct rdma_client *c)
{
    struct rdma_text t;

    if (c->connected) {
        (void)!ask(c, RDMA_BYE, RDMA_GONE, &t, NULL); /* it finds out by itself, later */
        udp_unbind(c->ip, OWN_PORT);
    }
    c->connected = false;
    rdma_link_close(&c->link);
}

/* --- work ------------------------------------------------------------------------------------------ */

static enum err take(struct rdma_client *c, const struct verbs_wc *wc, struct why *why)
{
    if (wc->wr_id & LINK_RECV) {
        c->recvs++;
        c->last_recv = *wc;
    } else {
        c->sends++;
        c->last_send = *wc;
    }
    if (wc->status != WC_SUCCESS)
        return why_set(why, E_IO, "%s", wc_status_name(wc->status));
    return OK;
}

enum err rdma_client_wait(struct rdma_client *c, u32 sends, u32 recvs, struct why *why)
{
    u64 end = time_now() + RDMA_PATIENCE;
    struct verbs_wc wc;
    enum err e = OK;

    while (!e && (c->sends < sends || c->recvs < recvs)) {
        if (rdma_link_poll(&c->link, &wc, time_now() + LOOK_PERIOD)) {
            e = take(c, &wc, why);
            end = time_now() + RDMA_PATIENCE;
        } else if (console_read(0) == CTRL_C) {
            e = why_set(why, E_STATE, "ended by Ctrl-C");
        } else if (time_now() > end) {
            e = why_set(why, E_TIMEOUT, "nothing was done for 30 seconds");
        }
    }
    return e;
}

enum err rdma_client_do(struct rdma_client *c, const struct verbs_send_wr *wr, u64 offset,
                        u32 length, struct why *why)
{
    enum err e = rdma_link_post(&c->link, wr, offset, length, why);

    return e ? e : rdma_client_wait(c, c->sends + 1, c->recvs, why);
}
