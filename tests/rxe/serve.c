/* SPDX-License-Identifier: BSD-2-Clause */
#include <arpa/inet.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include "rxe.h"

#define SESSIONS 4

static struct session {
    bool used;
    uint32_t from;
    unsigned id;
    struct link link;
} session[SESSIONS];

static struct session *find(uint32_t from, unsigned id)
{
    for (int i = 0; i < SESSIONS; i++)
        if (session[i].used && session[i].from == from && session[i].id == id)
            return &session[i];
    return NULL;
}

static struct session *begin(uint32_t from, unsigned id, const struct end *e)
{
    for (int i = 0; i < SESSIONS; i++) {
        struct session *s = &session[i];

        if (s->used)
            continue;
        link_open(&s->link, (unsigned)e->mode, (unsigned)e->access, (unsigned)e->message);
        link_connect(&s->link, e);
        s->used = true;
        s->from = from;
        s->id = id;
        return s;
    }
    return NULL;
}

static int answer(char *text, uint32_t from)
{
    struct session *s;
    struct end e;
    char word[16];
    unsigned id;

    if (!read_line(text, word, &id, &e))
        return 0;
    s = find(from, id);
    if (!strcmp(word, "hello")) {
        if (!s)
            s = begin(from, id, &e);
        return s ? write_line(text, "ready", id, &s->link.mine)
                 : write_line(text, "refused", id, NULL);
    }
    if (strcmp(word, "bye") != 0)
        return 0;
    if (s) {
        link_close(&s->link);
        s->used = false;
    }
    return write_line(text, "gone", id, NULL);
}

static void take_datagram(int socket)
{
    struct sockaddr_in from;
    socklen_t size = sizeof(from);
    char text[513];
    ssize_t n = recvfrom(socket, text, 512, MSG_DONTWAIT, (struct sockaddr *)&from, &size);
    int length;

    if (n < 0)
        return;
    text[n] = '\0';
    length = answer(text, from.sin_addr.s_addr);
    if (length)
        sendto(socket, text, (size_t)length, 0, (struct sockaddr *)&from, size);
}

static void take_completion(struct link *l, const struct ibv_wc *wc)
{
    unsigned slot = (unsigned)wc->wr_id;
    bool imm = wc->wc_flags & IBV_WC_WITH_IMM;
    struct ibv_send_wr wr = {.wr_id = slot, .opcode = imm ? IBV_WR_SEND_WITH_IMM : IBV_WR_SEND};

    if (wc->status != IBV_WC_SUCCESS)
        return;
    if (!(wc->wr_id & RECEIVE) || !l->mine.mode) {
        link_post_receive(l, slot);
        return;
    }
    wr.imm_data = wc->imm_data;
    link_post(l, &wr, RECEIVE_AT + slot * l->slot_size,
              wc->opcode == IBV_WC_RECV ? wc->byte_len : 0);
}

int serve(void)
{
    struct pollfd p = {.fd = udp_socket(PORT), .events = POLLIN};
    struct ibv_wc wc;

    printf("listening\n");
    fflush(stdout);
    for (;;) {
        if (poll(&p, 1, 1) > 0)
            take_datagram(p.fd);
        for (int i = 0; i < SESSIONS; i++)
            while (session[i].used && ibv_poll_cq(session[i].link.cq, 1, &wc) > 0)
                take_completion(&session[i].link, &wc);
    }
}
