/* SPDX-License-Identifier: BSD-2-Clause */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "rxe.h"

int write_line(char *text, const char *word, unsigned id, const struct end *e)
{
    int n = snprintf(text, 512, "ferry-rdma 1 %s id=%u", word, id);

    if (e)
        n += snprintf(
            text + n, (size_t)(512 - n),
            " gid=%s qpn=%llu psn=%llu mtu=%llu addr=%llu key=%llu length=%llu message=%llu "
            "mode=%llu access=%llu",
            e->gid, e->qpn, e->psn, e->mtu, e->addr, e->key, e->length, e->message, e->mode,
            e->access);
    return n;
}

static bool number(const char *text, const char *name, unsigned long long *value)
{
    char key[24];
    const char *at;

    snprintf(key, sizeof(key), " %s=", name);
    at = strstr(text, key);
    if (at)
        *value = strtoull(at + strlen(key), NULL, 0);
    return at != NULL;
}

bool read_line(const char *text, char word[16], unsigned *id, struct end *e)
{
    const char *gid = strstr(text, " gid=");

    memset(e, 0, sizeof(*e));
    if (sscanf(text, "ferry-rdma 1 %15s id=%u", word, id) != 2)
        return false;
    if (strcmp(word, "hello") != 0 && strcmp(word, "ready") != 0)
        return true;
    return gid && sscanf(gid, " gid=%32s", e->gid) == 1 && number(text, "qpn", &e->qpn) &&
           number(text, "psn", &e->psn) && number(text, "mtu", &e->mtu) &&
           number(text, "addr", &e->addr) && number(text, "key", &e->key) &&
           number(text, "length", &e->length) && number(text, "message", &e->message) &&
           number(text, "mode", &e->mode) && number(text, "access", &e->access);
}

int udp_socket(unsigned port)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    int s = socket(AF_INET, SOCK_DGRAM, 0);

    if (s < 0 || bind(s, (struct sockaddr *)&a, sizeof(a)))
        die("UDP port %u is taken", port);
    return s;
}
