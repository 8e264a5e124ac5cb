/* SPDX-License-Identifier: BSD-2-Clause */
/* QEMU's end of `x-pci-proxy-dev` (its multi-process protocol): configuration and BAR accesses as calls, each answered at
 * once; the machine's memory as file descriptors. */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>
#include "tools/hca/hca.h"

enum {
    SYNC_SYSMEM,
    RET,
    PCI_CFGWRITE,
    PCI_CFGREAD,
    BAR_WRITE,
    BAR_READ,
    SET_IRQFD,
    DEVICE_RESET,
};
struct header {
    s32 command, unused;
    u64 size;
};
ASSERT_SIZE(struct header, 16);
struct sysmem {
    u64 gpa[HCA_RANGES], size[HCA_RANGES];
    s64 offset[HCA_RANGES];
};
struct config {
    u32 addr, value;
    s32 size;
};
struct bar {
    u64 addr, value;
    u32 size;
    u8 memory;
};
struct message {
    struct header header;
    union {
        struct sysmem sysmem;
        struct config config;
        struct bar bar;
        u8 bytes[256];
    };
    int fd[HCA_RANGES];
    u32 fds;
};

/* --- memory --------------------------------------------------------------------------------------------- */

static void unmap_all(struct hca *h)
{
    for (u32 i = 0; i < h->ranges; i++)
        munmap(h->range[i].map, h->range[i].map_size);
    h->ranges = 0;
}

static void map(struct hca *h, const struct message *m)
{
    unmap_all(h);
    for (u32 i = 0; i < m->fds; i++) {
        struct memory_range *r = &h->range[h->ranges];
        void *at = mmap(NULL, m->sysmem.size[i], PROT_READ | PROT_WRITE, MAP_SHARED, m->fd[i],
                        m->sysmem.offset[i]);

        if (at == MAP_FAILED) {
            hca_log(h, LOG_REFUSED, "memory at 0x%llx cannot be mapped: %s",
                    (unsigned long long)m->sysmem.gpa[i], strerror(errno));
            continue;
        }
        *r = (struct memory_range){m->sysmem.gpa[i], m->sysmem.size[i], at, at, m->sysmem.size[i]};
        h->ranges++;
    }
}

/* --- messages --------------------------------------------------------------------------------------------- */

static bool read_all(int fd, void *to, size_t size)
{
    for (u8 *at = to; size;) {
        ssize_t n = read(fd, at, size);

        if (n <= 0 && !(n < 0 && errno == EINTR))
            return false;
        at += MAX(n, 0);
        size -= (size_t)MAX(n, 0);
    }
    return true;
}

static void take_descriptors(struct message *m, struct msghdr *msg)
{
    m->fds = 0;
    for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
        u32 n = (u32)((c->cmsg_len - CMSG_LEN(0)) / sizeof(int));

        if (c->cmsg_type != SCM_RIGHTS)
            continue;
        m->fds = MIN(n, HCA_RANGES);
        memcpy(m->fd, CMSG_DATA(c), m->fds * sizeof(int));
    }
}

static bool receive(int fd, struct message *m)
{
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(int) * HCA_RANGES)];
    } control;
    struct iovec io = {&m->header, sizeof(m->header)};
    struct msghdr msg = {.msg_iov = &io,
                         .msg_iovlen = 1,
                         .msg_control = control.bytes,
                         .msg_controllen = sizeof(control.bytes)};

    if (recvmsg(fd, &msg, MSG_WAITALL) != sizeof(m->header))
        return false;
    take_descriptors(m, &msg);
    return m->header.size <= sizeof(m->bytes) && read_all(fd, m->bytes, m->header.size);
}

static void reply(struct hca *h, u64 value)
{
    struct {
        struct header header;
        u64 value;
    } r = {{RET, 0, sizeof(value)}, value};

    if (send(h->proxy_fd, &r, sizeof(r), MSG_NOSIGNAL) != sizeof(r))
        hca_log(h, LOG_REFUSED, "QEMU takes no answer: %s", strerror(errno));
}

static u64 offset_in_bar(const struct hca *h, const struct message *m)
{
    return m->bar.addr - (h->bar & ~15u);
}

/* The answer goes first: what follows from a write may interrupt the CPU that waits for it. */
static void serve(struct hca *h, const struct message *m)
{
    switch (m->header.command) {
    case SYNC_SYSMEM: map(h, m); break;
    case SET_IRQFD: break; /* INTx, which needs KVM */
    case PCI_CFGWRITE:
        cfg_write(h, m->config.addr, m->config.value, (u32)m->config.size);
        reply(h, 0);
        break;
    case PCI_CFGREAD: reply(h, cfg_read(h, m->config.addr, (u32)m->config.size)); break;
    case BAR_WRITE:
        reply(h, 0);
        bar_write(h, offset_in_bar(h, m), m->bar.value, m->bar.size);
        break;
    case BAR_READ: reply(h, bar_read(h, offset_in_bar(h, m), m->bar.size)); break;
    case DEVICE_RESET:
        cfg_init(h);
        hca_reset(h);
        reply(h, 0);
        break;
    default: hca_log(h, LOG_REFUSED, "QEMU sends message %d, unknown", m->header.command); break;
    }
}

bool proxy_serve(struct hca *h)
{
    struct message m;

    if (!receive(h->proxy_fd, &m))
        return false;
    serve(h, &m);
    for (u32 i = 0; i < m.fds; i++)
        close(m.fd[i]);
    return true;
}
