/* SPDX-License-Identifier: BSD-2-Clause */
/* The handlers of commands, for the table in command.c; each is in the file of its kind of object. */
#pragma once
#include "tools/hca/hca.h"

#define COMMAND_HANDLERS(H)                                                                        \
    H(query_hca_cap)                                                                               \
    H(set_hca_cap)                                                                                 \
    H(query_adapter)                                                                               \
    H(enable_hca)                                                                                  \
    H(disable_hca)                                                                                 \
    H(init_hca)                                                                                    \
    H(teardown_hca)                                                                                \
    H(query_issi)                                                                                  \
    H(set_issi)                                                                                    \
    H(query_pages)                                                                                 \
    H(manage_pages)                                                                                \
    H(query_special_contexts)                                                                      \
    H(create_mkey)                                                                                 \
    H(query_mkey)                                                                                  \
    H(destroy_mkey)                                                                                \
    H(create_eq)                                                                                   \
    H(query_eq)                                                                                    \
    H(destroy_eq)                                                                                  \
    H(create_cq)                                                                                   \
    H(query_cq)                                                                                    \
    H(modify_cq)                                                                                   \
    H(destroy_cq)                                                                                  \
    H(create_qp)                                                                                   \
    H(modify_qp)                                                                                   \
    H(query_qp)                                                                                    \
    H(create)                                                                                      \
    H(destroy)                                                                                     \
    H(nothing)                                                                                     \
    H(of_object)                                                                                   \
    H(create_sq)                                                                                   \
    H(modify_sq)                                                                                   \
    H(destroy_sq)                                                                                  \
    H(query_vport_state)                                                                           \
    H(query_nic_vport_context)                                                                     \
    H(modify_nic_vport_context)                                                                    \
    H(query_roce_address)                                                                          \
    H(set_roce_address)                                                                            \
    H(query_hca_vport_context)                                                                     \
    H(query_hca_vport_gid)                                                                         \
    H(query_hca_vport_pkey)                                                                        \
    H(access_reg)
#define COMMAND_DECLARE(name) enum mlx_status command_##name(struct hca *h, struct command *c);
COMMAND_HANDLERS(COMMAND_DECLARE)
