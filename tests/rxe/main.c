/* SPDX-License-Identifier: BSD-2-Clause */
#include <linux/netlink.h>
#include <rdma/rdma_netlink.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include "rxe.h"

void die(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vprintf(format, args);
    va_end(args);
    printf("\n");
    exit(1);
}

double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

struct request {
    struct nlmsghdr h;
    char attributes[256];
};

static void add(struct request *r, unsigned short type, const char *text)
{
    struct nlattr *a = (struct nlattr *)((char *)r + NLMSG_ALIGN(r->h.nlmsg_len));

    a->nla_type = type;
    a->nla_len = (unsigned short)(NLA_HDRLEN + strlen(text) + 1);
    strcpy((char *)a + NLA_HDRLEN, text);
    r->h.nlmsg_len = NLMSG_ALIGN(r->h.nlmsg_len) + NLA_ALIGN(a->nla_len);
}

/* What `rdma link add rxe0 type rxe netdev eth0` does. */
int setup(void)
{
    struct request r = {.h = {.nlmsg_len = NLMSG_LENGTH(0),
                              .nlmsg_type = RDMA_NL_GET_TYPE(RDMA_NL_NLDEV, RDMA_NLDEV_CMD_NEWLINK),
                              .nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK}};
    struct {
        struct nlmsghdr h;
        struct nlmsgerr e;
        char rest[512];
    } answer = {0};
    int s = socket(AF_NETLINK, SOCK_RAW, NETLINK_RDMA);

    add(&r, RDMA_NLDEV_ATTR_DEV_NAME, "rxe0");
    add(&r, RDMA_NLDEV_ATTR_LINK_TYPE, "rxe");
    add(&r, RDMA_NLDEV_ATTR_NDEV_NAME, "eth0");
    if (s < 0 || send(s, &r, r.h.nlmsg_len, 0) < 0 || recv(s, &answer, sizeof(answer), 0) < 0)
        die("no netlink to the RDMA core");
    close(s);
    if (answer.h.nlmsg_type != NLMSG_ERROR || answer.e.error)
        die("rxe0 is not made: %s", strerror(-answer.e.error));
    return 0;
}

int main(int argc, char **argv)
{
    srandom((unsigned)time(NULL));
    if (argc == 2 && !strcmp(argv[1], "setup"))
        return setup();
    if (argc == 2 && !strcmp(argv[1], "serve"))
        return serve();
    if (argc == 3 && !strcmp(argv[1], "check"))
        return check(argv[2]);
    if (argc == 4 && !strcmp(argv[1], "pairs"))
        return pairs(argv[2], (unsigned)atoi(argv[3]));
    die("rxe setup | serve | check ADDRESS | pairs ADDRESS COUNT");
}
