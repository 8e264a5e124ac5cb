/* SPDX-License-Identifier: BSD-2-Clause */
/* The wire: frames as datagrams of a unix socket, as QEMU's `-netdev dgram` has them; those to the card itself go
 * round inside. */
#include <errno.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include "tools/hca/hca.h"

#define LOOP COUNT_OF(((struct wire *)0)->loop)

u8 *wire_begin(struct hca *h, u32 size)
{
    struct wire *w = &h->wire;

    wire_retry(h);
    if (w->waiting || size > sizeof(w->out) || w->loop_head - w->loop_tail == LOOP)
        return NULL;
    return w->out;
}

static bool is_own(const struct hca *h, const u8 *frame)
{
    return memcmp(frame, frame + 6, 6) == 0 || memcmp(frame, h->options.mac, 6) == 0;
}

void wire_send(struct hca *h, u32 size)
{
    struct wire *w = &h->wire;

    w->sent++;
    if (is_own(h, w->out)) {
        memcpy(w->loop[w->loop_head % LOOP], w->out, size);
        w->loop_size[w->loop_head++ % LOOP] = (u16)size;
        return;
    }
    w->waiting = size;
    wire_retry(h);
}

/* Nobody there is a loss; a full socket is a reason to wait. */
void wire_retry(struct hca *h)
{
    struct wire *w = &h->wire;

    if (!w->waiting)
        return;
    if (w->fd >= 0 && h->port_up && send(w->fd, w->out, w->waiting, MSG_DONTWAIT) < 0 &&
        (errno == EAGAIN || errno == ENOBUFS))
        return;
    w->waiting = 0;
}

static bool receive_loop(struct hca *h)
{
    struct wire *w = &h->wire;

    for (u32 n = 0; n < LOOP && w->loop_tail != w->loop_head; n++) {
        u32 i = w->loop_tail % LOOP;

        engine_frame(h, w->loop[i], w->loop_size[i]);
        w->loop_tail++;
    }
    return w->loop_tail != w->loop_head;
}

bool wire_receive(struct hca *h)
{
    struct wire *w = &h->wire;
    u8 frame[WIRE_FRAME_MOST + 64];
    bool more = receive_loop(h);

    for (u32 n = 0; n < 64 && w->fd >= 0; n++) {
        ssize_t size = recv(w->fd, frame, sizeof(frame), MSG_DONTWAIT);

        if (size <= 0)
            return more;
        w->received++;
        if (h->port_up && memcmp(frame, h->options.mac, 6) == 0)
            engine_frame(h, frame, (u32)size);
    }
    return true;
}

static bool address(struct sockaddr_un *a, const char *path, size_t length)
{
    if (!length || length >= sizeof(a->sun_path))
        return false;
    *a = (struct sockaddr_un){.sun_family = AF_UNIX};
    memcpy(a->sun_path, path, length);
    return true;
}

bool wire_open(struct hca *h, const char *paths)
{
    const char *comma = strchr(paths, ',');
    struct sockaddr_un here, there;

    if (!comma || !address(&here, paths, (size_t)(comma - paths)) ||
        !address(&there, comma + 1, strlen(comma + 1)))
        return false;
    h->wire.fd = socket(AF_UNIX, SOCK_DGRAM, 0);
    unlink(here.sun_path);
    return bind(h->wire.fd, (void *)&here, sizeof(here)) == 0 &&
           connect(h->wire.fd, (void *)&there, sizeof(there)) == 0;
}
