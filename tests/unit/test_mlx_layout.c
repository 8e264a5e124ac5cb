/* SPDX-License-Identifier: BSD-2-Clause */
/* What cards and drivers hand to each other, against rdma-core's own header. */
#include <infiniband/mlx5dv.h>
#include <string.h>
#include "drivers/net/mlx/mlx_layout.h"
#include "unit.h"

/* The word that has the field also has that member. */
#define AT(field, type, member)                                                                    \
    _Static_assert(offsetof(struct type, member) / 4 * 4 == (field) >> 12, #field " is "           \
                                                                                  "in " #member)

AT(cqe_srqn_user_index, mlx5_cqe64, srqn_uidx);
AT(cqe_imm_inval_pkey, mlx5_cqe64, imm_inval_pkey);
AT(cqe_byte_cnt, mlx5_cqe64, byte_cnt);
AT(cqe_timestamp, mlx5_cqe64, timestamp);
AT(cqe_qpn, mlx5_cqe64, sop_drop_qpn);
AT(cqe_wqe_counter, mlx5_cqe64, wqe_counter);
AT(cqe_signature, mlx5_cqe64, signature);
AT(cqe_owner, mlx5_cqe64, op_own);
AT(cqe_syndrome, mlx5_err_cqe, syndrome);
AT(cqe_vendor_err_synd, mlx5_err_cqe, vendor_err_synd);
AT(ctrl_opcode, mlx5_wqe_ctrl_seg, opmod_idx_opcode);
AT(ctrl_qpn, mlx5_wqe_ctrl_seg, qpn_ds);
AT(ctrl_signature, mlx5_wqe_ctrl_seg, signature);
AT(ctrl_ce, mlx5_wqe_ctrl_seg, fm_ce_se);
AT(ctrl_imm, mlx5_wqe_ctrl_seg, imm);
AT(raddr_va, mlx5_wqe_raddr_seg, raddr);
AT(raddr_rkey, mlx5_wqe_raddr_seg, rkey);
AT(atomic_swap_add, mlx5_wqe_atomic_seg, swap_add);
AT(atomic_compare, mlx5_wqe_atomic_seg, compare);
AT(data_byte_count, mlx5_wqe_data_seg, byte_count);
AT(data_lkey, mlx5_wqe_data_seg, lkey);
AT(data_addr, mlx5_wqe_data_seg, addr);
AT(umr_inline, mlx5_wqe_umr_ctrl_seg, flags);
AT(umr_klm_octowords, mlx5_wqe_umr_ctrl_seg, klm_octowords);
AT(umr_mkey_mask, mlx5_wqe_umr_ctrl_seg, mkey_mask);
AT(mkc_free, mlx5_wqe_mkey_context_seg, free);
AT(mkc_lr, mlx5_wqe_mkey_context_seg, access_flags);
AT(mkc_qpn, mlx5_wqe_mkey_context_seg, qpn_mkey);
AT(mkc_pd, mlx5_wqe_mkey_context_seg, flags_pd);
AT(mkc_start_addr, mlx5_wqe_mkey_context_seg, start_addr);
AT(mkc_len, mlx5_wqe_mkey_context_seg, len);
AT(mkc_bsf_octword_size, mlx5_wqe_mkey_context_seg, bsf_octword_size);
AT(mkc_translations_octword_size, mlx5_wqe_mkey_context_seg, translations_octword_size);
AT(mkc_log_page_size, mlx5_wqe_mkey_context_seg, log_page_size);

_Static_assert(sizeof(struct mlx5_cqe64) == MLX_CQE_SIZE, "CQE");
_Static_assert(sizeof(struct mlx5_wqe_umr_ctrl_seg) == MLX_UMR_CTRL_SIZE, "UMR control segment");
_Static_assert(sizeof(struct mlx5_wqe_mkey_context_seg) == MLX_UMR_MKEY_SIZE, "mkey segment");
#define SAME(ours, theirs) _Static_assert((u32)(ours) == (u32)(theirs), #ours)

SAME(MLX_WQE_SEND, MLX5_OPCODE_SEND);
SAME(MLX_WQE_SEND_IMM, MLX5_OPCODE_SEND_IMM);
SAME(MLX_WQE_RDMA_READ, MLX5_OPCODE_RDMA_READ);
SAME(MLX_WQE_RDMA_WRITE, MLX5_OPCODE_RDMA_WRITE);
SAME(MLX_WQE_RDMA_WRITE_IMM, MLX5_OPCODE_RDMA_WRITE_IMM);
SAME(MLX_WQE_UMR, MLX5_OPCODE_UMR);
SAME(MLX_WQE_ATOMIC_CS, MLX5_OPCODE_ATOMIC_CS);
SAME(MLX_WQE_ATOMIC_FA, MLX5_OPCODE_ATOMIC_FA);
SAME(MLX_CQE_REQ_ERR, MLX5_CQE_REQ_ERR);
SAME(MLX_CQE_RESP_ERR, MLX5_CQE_RESP_ERR);
SAME(MLX_CQE_RESP_SEND_INV, MLX5_CQE_RESP_SEND_INV);
SAME(MLX_CQE_INVALID, MLX5_CQE_INVALID);
SAME(MLX_SYNDROME_LOCAL_PROT, MLX5_CQE_SYNDROME_LOCAL_PROT_ERR);
SAME(MLX_SYNDROME_FLUSHED, MLX5_CQE_SYNDROME_WR_FLUSH_ERR);
SAME(MLX_SYNDROME_REMOTE_ACCESS, MLX5_CQE_SYNDROME_REMOTE_ACCESS_ERR);
SAME(MLX_SYNDROME_TRANSPORT_RETRY, MLX5_CQE_SYNDROME_TRANSPORT_RETRY_EXC_ERR);
SAME(MLX_UMR_MASK_FREE, MLX5_WQE_UMR_CTRL_MKEY_MASK_FREE);
SAME(MLX_UMR_MASK_LW, MLX5_WQE_UMR_CTRL_MKEY_MASK_ACCESS_LOCAL_WRITE);
SAME(MLX_UMR_MASK_RR, MLX5_WQE_UMR_CTRL_MKEY_MASK_ACCESS_REMOTE_READ);
SAME(MLX_UMR_MASK_RW, MLX5_WQE_UMR_CTRL_MKEY_MASK_ACCESS_REMOTE_WRITE);
SAME(MLX_UMR_MASK_KEY, MLX5_WQE_UMR_CTRL_MKEY_MASK_MKEY);
SAME(MLX_UMR_MASK_START_ADDR, MLX5_WQE_UMR_CTRL_MKEY_MASK_START_ADDR);
SAME(MLX_UMR_MASK_LEN, MLX5_WQE_UMR_CTRL_MKEY_MASK_LEN);

static void a_control_segment_is_what_mlx5dv_makes(void **state)
{
    struct mlx5_wqe_ctrl_seg theirs;
    u8 ours[MLX_DS] = {0};

    (void)state;
    memset(&theirs, 0, sizeof(theirs));
    mlx5dv_set_ctrl_seg(&theirs, 0xabcd, MLX5_OPCODE_RDMA_WRITE_IMM, 0, 0x123456,
                        MLX5_WQE_CTRL_CQ_UPDATE | MLX5_WQE_CTRL_SOLICITED | MLX5_WQE_CTRL_FENCE, 3,
                        0, htobe32(0xdeadbeef));
    mlx_set(ours, ctrl_wqe_index, 0xabcd);
    mlx_set(ours, ctrl_opcode, MLX_WQE_RDMA_WRITE_IMM);
    mlx_set(ours, ctrl_qpn, 0x123456);
    mlx_set(ours, ctrl_ds, 3);
    mlx_set(ours, ctrl_fm, 4);
    mlx_set(ours, ctrl_ce, MLX_CE_ALWAYS);
    mlx_set(ours, ctrl_se, 1);
    mlx_set(ours, ctrl_imm, 0xdeadbeef);
    assert_memory_equal(ours, &theirs, sizeof(ours));
}

static void a_data_segment_is_what_mlx5dv_makes(void **state)
{
    struct mlx5_wqe_data_seg theirs;
    u8 ours[MLX_DS] = {0};

    (void)state;
    mlx5dv_set_data_seg(&theirs, 4096, 0x1234, 0xfedcba9876543210);
    mlx_set(ours, data_byte_count, 4096);
    mlx_set(ours, data_lkey, 0x1234);
    mlx_set(ours, data_addr, 0xfedcba9876543210);
    assert_memory_equal(ours, &theirs, sizeof(ours));
}

static void a_completions_opcode_owner_and_solicited_bit_are_where_mlx5dv_has_them(void **state)
{
    struct mlx5_cqe64 theirs;
    u8 ours[MLX_CQE_SIZE] = {0};

    (void)state;
    mlx_set(ours, cqe_opcode, MLX_CQE_RESP_SEND_IMM);
    mlx_set(ours, cqe_owner, 1);
    mlx_set(ours, cqe_se, 1);
    mlx_set(ours, cqe_wqe_counter, 0x1234);
    memcpy(&theirs, ours, sizeof(theirs));
    assert_int_equal(mlx5dv_get_cqe_opcode(&theirs), MLX5_CQE_RESP_SEND_IMM);
    assert_int_equal(mlx5dv_get_cqe_owner(&theirs), 1);
    assert_int_equal(mlx5dv_get_cqe_se(&theirs), 1);
    assert_int_equal(be16toh(theirs.wqe_counter), 0x1234);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_control_segment_is_what_mlx5dv_makes),
        cmocka_unit_test(a_data_segment_is_what_mlx5dv_makes),
        cmocka_unit_test(a_completions_opcode_owner_and_solicited_bit_are_where_mlx5dv_has_them),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
