/* SPDX-License-Identifier: BSD-2-Clause */
#include "drivers/net/verbs_names.h"

const char *wc_status_name(enum wc_status status)
{
    static const char *const names[WC_STATUS_COUNT] = {
        [WC_SUCCESS] = "success",
        [WC_LOC_LEN_ERR] = "local length error",
        [WC_LOC_QP_OP_ERR] = "local QP operation error",
        [WC_LOC_PROT_ERR] = "local protection error",
        [WC_WR_FLUSH_ERR] = "work request flushed",
        [WC_BAD_RESP_ERR] = "bad response",
        [WC_LOC_ACCESS_ERR] = "local access error",
        [WC_REM_INV_REQ_ERR] = "remote invalid request error",
        [WC_REM_ACCESS_ERR] = "remote access error",
        [WC_REM_OP_ERR] = "remote operation error",
        [WC_RETRY_EXC_ERR] = "retry count exceeded",
        [WC_RNR_RETRY_EXC_ERR] = "RNR retry count exceeded",
        [WC_GENERAL_ERR] = "general error",
    };

    return (unsigned)status < WC_STATUS_COUNT && names[status] ? names[status] : "unknown status";
}

u8 verbs_timeout_code(u64 ns)
{
    u8 code = 1;

    while (code < 31 && 4096ull << code < ns)
        code++;
    return code;
}
