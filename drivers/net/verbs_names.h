/* SPDX-License-Identifier: BSD-2-Clause */
/* The words of libibverbs that Ferry uses, with its values, without the prefix IBV_: completion statuses
 * (ibv_wc_status), work request and completion opcodes, access rights, send flags. Shared by the verbs
 * interface and by the RC engine. Pure data. */
#pragma once
#include "kernel/types.h"

enum wc_status {
    WC_SUCCESS = 0,
    WC_LOC_LEN_ERR = 1,
    WC_LOC_QP_OP_ERR = 2,
    WC_LOC_PROT_ERR = 4,
    WC_WR_FLUSH_ERR = 5,
    WC_BAD_RESP_ERR = 7,
    WC_LOC_ACCESS_ERR = 8,
    WC_REM_INV_REQ_ERR = 9,
    WC_REM_ACCESS_ERR = 10,
    WC_REM_OP_ERR = 11,
    WC_RETRY_EXC_ERR = 12,
    WC_RNR_RETRY_EXC_ERR = 13,
    WC_GENERAL_ERR = 21,
    WC_STATUS_COUNT
};
/* "remote access error". Never NULL. */
const char *wc_status_name(enum wc_status status);

/* The code of the shortest time-out of that many ns or more: 4.096 us << code, 1 to 31. */
u8 verbs_timeout_code(u64 ns);

enum wr_opcode {
    WR_RDMA_WRITE = 0,
    WR_RDMA_WRITE_WITH_IMM = 1,
    WR_SEND = 2,
    WR_SEND_WITH_IMM = 3,
    WR_RDMA_READ = 4,
    WR_ATOMIC_CMP_AND_SWP = 5,
    WR_ATOMIC_FETCH_AND_ADD = 6,
    WR_SEND_WITH_INV = 9,
    WR_OPCODE_COUNT
};

enum wc_opcode {
    WC_SEND = 0,
    WC_RDMA_WRITE = 1,
    WC_RDMA_READ = 2,
    WC_COMP_SWAP = 3,
    WC_FETCH_ADD = 4,
    WC_RECV = 128,
    WC_RECV_RDMA_WITH_IMM = 129,
};

/* ibv_send_flags */
enum {
    SEND_FENCE = 1 << 0,    /* not before all READs and atomics that were posted earlier are done */
    SEND_SIGNALED = 1 << 1, /* its success is reported too */
    SEND_SOLICITED = 1 << 2, /* the other side's completion is marked */
};

/* ibv_access_flags. Reading by the own host is always allowed. */
enum {
    ACCESS_LOCAL_WRITE = 1 << 0,
    ACCESS_REMOTE_WRITE = 1 << 1,
    ACCESS_REMOTE_READ = 1 << 2,
    ACCESS_REMOTE_ATOMIC = 1 << 3,
    ACCESS_ALL = 15,
};

/* ibv_wc_flags */
enum {
    WC_GRH = 1 << 0, /* never set: no datagrams */
    WC_WITH_IMM = 1 << 1,
    WC_WITH_INV = 1 << 3,
};
