/* SPDX-License-Identifier: BSD-2-Clause */
/* `rdma listen`: the end that answers. A thread of its own serves up to SESSIONS connections; the NIC's thread only
 * leaves it what came to the port. */
#include "drivers/net/rdma/link.h"
#include "drivers/net/rdma/host.h"
#include "drivers/net/roce/nic.h"
#include "kernel/console.h"
#include "kernel/log.h"
#include "kernel/shell.h"

#define SESSIONS  4
#define LETTERS   8
#define LOOK      MSEC(5)
#define QUIET     SEC(20) /* then the peer is asked whether it is still there */
#define STOP_TIME SEC(5)

struct letter {
    ip4_t from;
    u16 port;
    u32 size;
    char text[RDMA_TEXT];
};

struct session {
    bool used, failed, asked;
    ip4_t from;
    u32 id;
    u64 heard; /* ns */
    struct rdma_link link;
};

static struct {
    struct lock lock; /* of the letters; innermost but for the scheduler's */
    struct letter letter[LETTERS];
    u32 written, read; /* running numbers */
    struct thread *thread;
    bool running, stop;
    struct session session[SESSIONS];
    u64 served, refused, lost; /* connections, hellos, letters without room */
} listener;

/* --- the NIC's thread ------------------------------------------------------------------------------ */

static void on_datagram(void *unused, const struct udp_datagram *d)
{
    struct letter *l;

    (void)unused;
    lock_acquire(&listener.lock);
    if (listener.written - listener.read == LETTERS || d->data_size > sizeof(l->text)) {
        listener.lost++;
    } else {
        l = &listener.letter[listener.written % LETTERS];
        l->from = d->ip.source;
        l->port = d->source_port;
        l->size = d->data_size;
        memcpy(l->text, d->ip.frame + d->data_at, d->data_size);
        listener.written++;
    }
    lock_release(&listener.lock);
    thread_wake(listener.thread);
}

static bool next_letter(struct letter *l)
{
    bool is_there;

    lock_acquire(&listener.lock);
    is_there = listener.written != listener.read;
    if (is_there)
        *l = listener.letter[listener.read++ % LETTERS];
    lock_release(&listener.lock);
    return is_there;
}

/* --- sessions -------------------------------------------------------------------------------------- */

static void end_session(struct session *s)
{
    if (s->used)
        rdma_link_close(&s->link);
    s->used = false;
}

static struct session *find_session(ip4_t from, u32 id)
{
    for (unsigned i = 0; i < SESSIONS; i++)
        if (listener.session[i].used && listener.session[i].id == id &&
            listener.session[i].from.v == from.v)
            return &listener.session[i];
    return NULL;
}

static struct session *free_session(void)
{
    for (unsigned i = 0; i < SESSIONS; i++)
        if (!listener.session[i].used)
            return &listener.session[i];
    return NULL;
}

static enum err begin_session(struct session **out, const struct letter *l,
                              const struct rdma_text *t, struct why *why)
{
    struct session *s = free_session();
    enum err e;

    if (verbs_gid_ip(t->end.gid) != l->from.v)
        return why_set(why, E_INVAL, "the GID is not the address that this came from");
    if (!s)
        return why_set(why, E_NOMEM, "all %u connections of this host are in use", SESSIONS);
    e = rdma_link_open(&s->link, t->end.mode, t->end.access, t->end.message, why);
    if (e)
        return e;
    e = rdma_link_connect(&s->link, ip_host(), &t->end, why);
    if (e) {
        rdma_link_close(&s->link);
        return e;
    }
    s->used = true;
    s->failed = s->asked = false;
    s->from = l->from;
    s->id = t->id;
    listener.served++;
    *out = s;
    return OK;
}

static void say(const struct letter *l, const struct rdma_text *t)
{
    char text[RDMA_TEXT];
    u32 size = rdma_text_write(text, t);

    (void)!udp_send(ip_host(), l->from, RDMA_PORT, l->port, text, size); /* it is asked again */
}

static void on_hello(const struct letter *l, const struct rdma_text *t)
{
    struct session *s = find_session(l->from, t->id);
    struct rdma_text answer = {.word = RDMA_READY, .id = t->id};
    struct why why = {""};

    if (!s && begin_session(&s, l, t, &why))
        s = NULL;
    if (!s) {
        listener.refused++;
        answer.word = RDMA_REFUSED;
        str_format(answer.reason, sizeof(answer.reason), "%s", why.text);
    } else {
        s->heard = time_now();
        answer.end = s->link.mine;
    }
    say(l, &answer);
}

static void on_letter(const struct letter *l)
{
    struct rdma_text t;
    struct session *s;

    if (rdma_text_read(&t, l->text, l->size, NULL)) {
        listener.refused++;
        return;
    }
    if (t.word == RDMA_HELLO)
        on_hello(l, &t);
    if (t.word != RDMA_BYE)
        return;
    s = find_session(l->from, t.id);
    if (s)
        end_session(s);
    say(l, &(struct rdma_text){.word = RDMA_GONE, .id = t.id});
}

/* --- serving --------------------------------------------------------------------------------------- */

/* Sends back what came. Its slot is posted again when that was sent. */
static enum err echo(struct rdma_link *l, const struct verbs_wc *wc)
{
    bool imm = wc->wc_flags & WC_WITH_IMM;
    u32 slot = (u32)wc->wr_id;
    struct verbs_send_wr wr = {
        .wr_id = slot, .opcode = imm ? WR_SEND_WITH_IMM : WR_SEND, .imm = wc->imm};

    return rdma_link_post(l, &wr, (u64)(rdma_link_slot(l, slot) - l->at),
                          wc->opcode == WC_RECV ? wc->byte_len : 0, NULL);
}

/* Of READs and WRITEs nothing is told here. A WRITE of no bytes touches nothing and needs no key, but is acknowledged; if
 * nobody does so, the queue pair gives up, and the session ends as any that fails. */
static void ask_whether_it_is_there(struct session *s)
{
    struct verbs_send_wr wr = {.wr_id = LINK_ASK,
                               .opcode = WR_RDMA_WRITE,
                               .remote_addr = s->link.theirs.addr,
                               .rkey = s->link.theirs.key};

    s->asked = rdma_link_post(&s->link, &wr, 0, 0, NULL) ==
               OK; /* no room: other work is under way, which fails as well */
}

static void on_completion(struct session *s, const struct verbs_wc *wc)
{
    enum err e;

    s->heard = time_now();
    if (wc->status != WC_SUCCESS)
        s->failed = true;
    if (wc->wr_id == LINK_ASK)
        s->asked = false;
    if (s->failed || wc->wr_id == LINK_ASK)
        return;
    if ((wc->wr_id & LINK_RECV) && s->link.mine.mode == RDMA_ECHO)
        e = echo(&s->link, wc);
    else
        e = rdma_link_post_recv(&s->link, (u32)wc->wr_id, NULL);
    s->failed |= e != OK;
}

static void take_completions(struct session *s)
{
    struct verbs_wc wc;

    for (unsigned i = 0; i < LINK_SLOTS && verbs_poll_cq(s->link.cq, &wc, 1); i++)
        on_completion(s, &wc);
}

static void serve(struct session *s)
{
    if (!s->used)
        return;
    take_completions(s);
    verbs_req_notify_cq(s->link.cq);
    take_completions(
        s); /* that came before it was asked for; a peer that sends on has its turn again */
    s->failed |= verbs_query_qp(s->link.qp) == QPS_ERR;
    /* A queue pair in error still says why, should the peer not have heard it. */
    if (s->failed && time_now() - s->heard > SEC(2))
        end_session(s);
    else if (!s->failed && !s->asked && time_now() - s->heard > QUIET)
        ask_whether_it_is_there(s);
}

static void listen_thread(void *unused)
{
    struct letter l;

    (void)unused;
    while (!__atomic_load_n(&listener.stop, __ATOMIC_ACQUIRE)) {
        while (next_letter(&l))
            on_letter(&l);
        for (unsigned i = 0; i < SESSIONS; i++)
            serve(&listener.session[i]);
        thread_sleep_until(time_now() + LOOK);
    }
    for (unsigned i = 0; i < SESSIONS; i++)
        end_session(&listener.session[i]);
    __atomic_store_n(&listener.running, false, __ATOMIC_RELEASE);
    thread_exit();
}

/* --- the command ----------------------------------------------------------------------------------- */

static enum err stop_listening(struct why *why)
{
    u64 end = time_now() + STOP_TIME;

    if (!listener.running)
        return why_set(why, E_STATE, "this host does not listen");
    udp_unbind(ip_host(), RDMA_PORT);
    __atomic_store_n(&listener.stop, true, __ATOMIC_RELEASE);
    while (__atomic_load_n(&listener.running, __ATOMIC_ACQUIRE) && time_now() < end)
        thread_sleep(MSEC(1));
    if (listener.running)
        return why_set(why, E_TIMEOUT, "its connections did not end in time; see `log`");
    return OK;
}

static enum err start_listening(struct why *why)
{
    if (listener.running)
        return why_set(why, E_STATE, "this host listens already; `rdma listen stop` ends it");
    if (!rdma_host())
        return rdma_host_missing(why);
    listener.stop = false;
    listener.read = listener.written;
    listener.running = true;
    if (thread_create(&listener.thread, "rdma", listen_thread, NULL)) {
        listener.running = false;
        return why_set(why, E_NOMEM, "no memory for a thread");
    }
    if (udp_bind(ip_host(), RDMA_PORT, on_datagram, NULL)) {
        __atomic_store_n(&listener.stop, true, __ATOMIC_RELEASE);
        return why_set(why, E_EXIST, "UDP port %u, or all of them, are taken", RDMA_PORT);
    }
    console_printf("listening on UDP port %u\n", RDMA_PORT);
    return OK;
}

static enum err run_listen(unsigned argc, char **argv, struct why *why)
{
    if (!argc)
        return start_listening(why);
    if (!str_equal(argv[0], "stop"))
        return why_set(why, E_INVAL, "'%s' is not `stop`", argv[0]);
    return stop_listening(why);
}

static void complete_stop(struct shell_completion *c)
{
    shell_offer(c, "", "stop");
}
SHELL_COMMAND(rdma_listen, .name = "rdma listen", .args = "[stop]", .max = 1, .run = run_listen,
              .help = "answer RDMA connections of other hosts", .complete = {complete_stop},
              .more = "For `rdma ping`, `rdma bw` and `rdma verify` of others, and whatever speaks "
                      "the exchange of "
                      "docs/rdma-exchange.md. Anybody in the network may connect; each has 8 MiB.");
