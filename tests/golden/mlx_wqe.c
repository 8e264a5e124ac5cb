/* SPDX-License-Identifier: BSD-2-Clause */
/* Makes mlx_wqe.txt: work queue elements as rdma-core's public header has them (infiniband/mlx5dv.h of Debian's
 * libibverbs-dev 44.0), by its inline functions where it has some and by its structs else. Nothing of Ferry is in it. Bits
 * that the header does not name are from Linux's include/linux/mlx5/device.h and mlx5_ifc.h, and marked so.
 *
 *     cc -o mlx_wqe tests/golden/mlx_wqe.c && ./mlx_wqe >tests/golden/mlx_wqe.txt */
#include <endian.h>
#include <infiniband/mlx5dv.h>
#include <stdio.h>
#include <string.h>

#define QPN     0x00abcd
#define INDEX   0xfffe
#define SIGNAL  MLX5_WQE_CTRL_CQ_UPDATE
#define SOLICIT MLX5_WQE_CTRL_SOLICITED
#define FENCE   MLX5_WQE_CTRL_FENCE

static unsigned char wqe[1024];
static unsigned at; /* octowords written */

static void *segment(unsigned octowords)
{
    void *s = wqe + 16 * at;

    at += octowords;
    return s;
}

static void begin(void)
{
    memset(wqe, 0, sizeof(wqe));
    at = 1;
}

static void end(const char *name, uint8_t opcode, uint8_t flags, uint32_t imm)
{
    mlx5dv_set_ctrl_seg((void *)wqe, INDEX, opcode, 0, QPN, flags, at, 0, htobe32(imm));
    printf("%s", name);
    for (unsigned i = 0; i < 16 * at; i++)
        printf("%s%02x", i % 16 ? "" : "\n    ", wqe[i]);
    printf("\n");
}

static void raddr(void)
{
    struct mlx5_wqe_raddr_seg *s = segment(1);

    s->raddr = htobe64(0x1122334455667788);
    s->rkey = htobe32(0x99aabbcc);
}

static void atomic(uint64_t swap_add, uint64_t compare)
{
    struct mlx5_wqe_atomic_seg *s = segment(1);

    s->swap_add = htobe64(swap_add);
    s->compare = htobe64(compare);
}

static void data(uint32_t size, uint32_t key, uint64_t address)
{
    mlx5dv_set_data_seg(segment(1), size, key, address);
}

static void in_line(const char *text)
{
    unsigned size = strlen(text);
    struct mlx5_wqe_inl_data_seg *s = segment((4 + size + 15) / 16);

    s->byte_count = htobe32(MLX5_INLINE_SEG | size);
    memcpy(s + 1, text, size);
}

static void sends(void)
{
    begin();
    data(256, 0x1234, 0xfedcba9876543210);
    end("send", MLX5_OPCODE_SEND, SIGNAL | SOLICIT, 0);
    begin();
    data(256, 0x1234, 0xfedcba9876543210);
    end("send_imm", MLX5_OPCODE_SEND_IMM, SIGNAL, 0xdeadbeef);
    begin();
    end("send_nothing", MLX5_OPCODE_SEND, SIGNAL, 0);
    begin();
    in_line("a text in the element");
    end("send_inline", MLX5_OPCODE_SEND, SIGNAL, 0);
}

static void rdma(void)
{
    begin();
    raddr();
    data(4096, 0x1234, 0xfedcba9876543000);
    end("write", MLX5_OPCODE_RDMA_WRITE, 0, 0);
    begin();
    raddr();
    data(4096, 0x1234, 0xfedcba9876543000);
    end("write_imm", MLX5_OPCODE_RDMA_WRITE_IMM, SIGNAL | SOLICIT, 0xcafe0001);
    begin();
    raddr();
    for (unsigned i = 0; i < 8; i++)
        data(0x1000 + i, 0x100 * i + 1, 0x7000000 + 0x2000 * i);
    end("write_gather", MLX5_OPCODE_RDMA_WRITE, SIGNAL, 0);
    begin();
    raddr();
    in_line("twenty-eight bytes are here!");
    end("write_inline", MLX5_OPCODE_RDMA_WRITE, SIGNAL, 0);
    begin();
    raddr();
    data(4096, 0x1234, 0xfedcba9876543000);
    end("read", MLX5_OPCODE_RDMA_READ, SIGNAL | FENCE, 0);
    begin();
    raddr();
    atomic(0x0102030405060708, 0x1112131415161718);
    data(8, 0x1234, 0xfedcba9876543210);
    end("compare_and_swap", MLX5_OPCODE_ATOMIC_CS, SIGNAL, 0);
    begin();
    raddr();
    atomic(0x0102030405060708, 0);
    data(8, 0x1234, 0xfedcba9876543210);
    end("fetch_and_add", MLX5_OPCODE_ATOMIC_FA, SIGNAL, 0);
    begin();
    end("nop", MLX5_OPCODE_NOP, SIGNAL | FENCE, 0);
}

static void recv(void)
{
    begin();
    at = 0;
    data(1000, 0x1234, 0x1000);
    data(2000, 0x5678, 0x2000);
    data(0, 0x100 /* Linux: MLX5_INVALID_LKEY */, 0);
    printf("recv\n    ");
    for (unsigned i = 0; i < 16 * at; i++)
        printf("%02x%s", wqe[i], i % 16 < 15 ? "" : i == 16 * at - 1 ? "\n" : "\n    ");
}

/* Linux: MLX5_MKEY_MASK_PD, MLX5_MKEY_MASK_LR; the flag that a key which is not free makes the WQE fail */
#define MASK_PD          (1ull << 7)
#define MASK_LR          (1ull << 17)
#define FLAG_IF_NOT_FREE (1 << 5)
#define FLAG_IF_FREE     (1 << 6)

static struct mlx5_wqe_mkey_context_seg *umr(unsigned flags, unsigned octowords, uint64_t mask)
{
    struct mlx5_wqe_umr_ctrl_seg *s = segment(3);

    s->flags = flags;
    s->klm_octowords = htobe16(octowords);
    s->mkey_mask = htobe64(mask);
    return segment(4);
}

static void valid(struct mlx5_wqe_mkey_context_seg *m, uint64_t length)
{
    m->access_flags = MLX5_WQE_MKEY_CONTEXT_ACCESS_FLAGS_LOCAL_READ |
                      MLX5_WQE_MKEY_CONTEXT_ACCESS_FLAGS_LOCAL_WRITE |
                      MLX5_WQE_MKEY_CONTEXT_ACCESS_FLAGS_REMOTE_READ |
                      MLX5_WQE_MKEY_CONTEXT_ACCESS_FLAGS_REMOTE_WRITE;
    m->qpn_mkey = htobe32(0xffffff00 | 0x5b);
    m->flags_pd = htobe32(0x000077);
    m->start_addr = htobe64(0x40000800);
    m->len = htobe64(length);
}

static const uint64_t valid_mask =
    MLX5_WQE_UMR_CTRL_MKEY_MASK_LEN | MLX5_WQE_UMR_CTRL_MKEY_MASK_START_ADDR | MASK_PD |
    MLX5_WQE_UMR_CTRL_MKEY_MASK_MKEY | MASK_LR | MLX5_WQE_UMR_CTRL_MKEY_MASK_ACCESS_LOCAL_WRITE |
    MLX5_WQE_UMR_CTRL_MKEY_MASK_ACCESS_REMOTE_READ |
    MLX5_WQE_UMR_CTRL_MKEY_MASK_ACCESS_REMOTE_WRITE | MLX5_WQE_UMR_CTRL_MKEY_MASK_ACCESS_ATOMIC |
    MLX5_WQE_UMR_CTRL_MKEY_MASK_FREE;

static void keys(void)
{
    uint64_t *list;

    begin(); /* 10 pages of 4 KiB: two lines of 8 translations, the last ones empty; 1 reads, 2 writes */
    valid(umr(MLX5_WQE_UMR_CTRL_FLAG_INLINE | FLAG_IF_NOT_FREE, 8, valid_mask), 9 * 4096);
    list = segment(8);
    for (unsigned i = 0; i < 10; i++)
        list[i] = htobe64(0x100000 + 0x3000 * i + 3);
    end("register", MLX5_OPCODE_UMR, SIGNAL, 0x00a1b25a);
    begin();
    valid(umr(FLAG_IF_NOT_FREE, 52, valid_mask), 100 * 4096);
    data(104 * 8, 0x1234, 0x600000);
    end("register_list", MLX5_OPCODE_UMR, SIGNAL, 0x00a1b25a);
    begin();
    umr(MLX5_WQE_UMR_CTRL_FLAG_INLINE | FLAG_IF_FREE, 0, MLX5_WQE_UMR_CTRL_MKEY_MASK_FREE)->free =
        MLX5_WQE_MKEY_CONTEXT_FREE;
    end("invalidate", MLX5_OPCODE_UMR, SIGNAL, 0x00a1b25b);
}

int main(void)
{
    printf("# Made by tests/golden/mlx_wqe.c from rdma-core's infiniband/mlx5dv.h. A name, then "
           "lines of 16 bytes.\n");
    sends();
    rdma();
    recv();
    keys();
    return 0;
}
