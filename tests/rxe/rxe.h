/* SPDX-License-Identifier: BSD-2-Clause */
/* A Linux program on libibverbs that speaks Ferry's exchange (docs/rdma-exchange.md), written from the document and
 * without Ferry's code: Linux's rdma_rxe judges ours by it. Runs in a guest of the rig, linked statically.
 *
 * What cannot go on ends the program with a sentence (die). */
#pragma once
#include <infiniband/verbs.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

#define PORT        18515
#define TARGET_SIZE (2u << 20)
#define SOURCE_AT   (2u << 20)
#define BACK_AT     (3u << 20) /* what is read */
#define RECEIVE_AT  (4u << 20)
#define MEMORY      (8u << 20)
#define RECEIVE     (1ull << 32) /* in a wr_id */

struct end {
    char gid[33];
    unsigned long long qpn, psn, mtu, addr, key, length, message, mode, access;
};

struct link {
    struct ibv_context *context;
    struct ibv_pd *pd;
    struct ibv_cq *cq;
    struct ibv_mr *local, *target;
    struct ibv_qp *qp;
    uint8_t *at;
    int gid_index;
    unsigned slots, slot_size;
    struct end mine, theirs;
};

_Noreturn void die(const char *format, ...) __attribute__((format(printf, 1, 2)));
double now(void); /* seconds */

/* exchange.c: one line; text has 512 bytes. word_of returns NULL where it is no message. */
int write_line(char *text, const char *word, unsigned id, const struct end *end);
bool read_line(const char *text, char word[16], unsigned *id, struct end *end);
int udp_socket(unsigned port);

/* link.c */
void link_open(struct link *l, unsigned mode, unsigned access, unsigned message);
void link_connect(struct link *l, const struct end *theirs);
void link_close(struct link *l);
void link_post_receive(struct link *l, unsigned slot);
/* wr's opcode, wr_id and remote part are set; one SGE of that length at that offset of the memory. */
void link_post(struct link *l, struct ibv_send_wr *wr, unsigned offset, unsigned length);

/* Each is a command. */
int setup(void);
int serve(void);
int check(const char *host);
/* That many WRITEs with a READ behind, and as many with an atomic. */
int pairs(const char *host, unsigned count);
