/* SPDX-License-Identifier: BSD-2-Clause */
/* Work queue elements, against vectors made with rdma-core's own header (tests/golden/mlx_wqe.txt). The ring has 32 blocks and
 * each WQE begins at the last but one, so that long ones go round its end. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "drivers/net/mlx/wqe.h"
#include "kernel/arch.h"
#include "unit.h"

#define BLOCKS 32u
#define INDEX  0xfffe
#define BYTES  (BLOCKS * MLX_WQEBB)
#define KEY    0x1234 /* of the host's memory */

static u8 blocks[BYTES] ALIGNED(64);
static struct mlx_ring ring = {blocks, BLOCKS - 1, 0xabcd, KEY};

/* The ring as the card reads it from the WQE on. */
static u8 seen[BYTES], golden[BYTES];

static u32 read_golden(const char *name)
{
    FILE *f = fopen("tests/golden/mlx_wqe.txt", "r");
    char line[200];
    bool here = false;
    u32 size = 0;

    assert_non_null(f);
    while (fgets(line, sizeof(line), f)) {
        line[strcspn(line, "\n")] = 0;
        if (line[0] != ' ') {
            here = !strcmp(line, name);
            continue;
        }
        for (const char *p = line + 4; here && *p; p += 2) {
            unsigned byte;

            assert_int_equal(sscanf(p, "%2x", &byte), 1);
            golden[size++] = (u8)byte;
        }
    }
    fclose(f);
    assert_int_not_equal(size, 0);
    return size;
}

static void begin(void)
{
    memset(blocks, 0xa5, sizeof(blocks));
}

/* Its bytes are the golden ones; of the other blocks none was touched. */
static void is_golden(const char *name, u32 ds)
{
    u32 size = read_golden(name), first = (INDEX & ring.mask) * MLX_WQEBB;

    for (u32 i = 0; i < BYTES; i++)
        seen[i] = blocks[(first + i) % BYTES];
    assert_int_equal(ds * MLX_DS, size);
    assert_memory_equal(seen, golden, size);
    for (u32 i = mlx_blocks(ds) * MLX_WQEBB; i < BYTES; i++)
        assert_int_equal(seen[i], 0xa5);
}

static void a_send_is(const char *name, struct verbs_send_wr wr)
{
    wr.remote_addr = 0x1122334455667788;
    wr.rkey = 0x99aabbcc;
    begin();
    is_golden(name, mlx_wqe_send(&ring, INDEX, &wr));
}

/* Both encoders make it. */
static void a_page_is(const char *name, struct verbs_send_wr wr, u8 opcode)
{
    a_send_is(name, wr);
    wr.remote_addr = 0x1122334455667788;
    wr.rkey = 0x99aabbcc;
    begin();
    mlx_put_page(&ring, mlx_block(&ring, INDEX), INDEX, &wr, opcode);
    is_golden(name, 3);
}

static void sends(void **state)
{
    struct verbs_sge sge = {0xfedcba9876543210, 256, 0x1234};
    struct verbs_sge nothing[2] = {{0x1000, 0, KEY}, {0x2000, 0, 7}};

    (void)state;
    a_send_is("send", (struct verbs_send_wr){.opcode = WR_SEND,
                                             .sg_list = &sge,
                                             .num_sge = 1,
                                             .send_flags = SEND_SIGNALED | SEND_SOLICITED});
    a_send_is("send_imm", (struct verbs_send_wr){.opcode = WR_SEND_WITH_IMM,
                                                 .sg_list = &sge,
                                                 .num_sge = 1,
                                                 .imm = 0xdeadbeef,
                                                 .send_flags = SEND_SIGNALED});
    for (u32 n = 0; n <= 2; n++)
        a_send_is("send_nothing", (struct verbs_send_wr){.opcode = WR_SEND,
                                                         .sg_list = nothing,
                                                         .num_sge = n,
                                                         .send_flags = SEND_SIGNALED});
}

static void writes_and_reads(void **state)
{
    struct verbs_sge sge = {0xfedcba9876543000, 4096, 0x1234}, list[8];
    struct verbs_send_wr wr = {.opcode = WR_RDMA_WRITE, .sg_list = &sge, .num_sge = 1};

    (void)state;
    a_page_is("write", wr, MLX_WQE_RDMA_WRITE);
    wr.opcode = WR_RDMA_WRITE_WITH_IMM;
    wr.imm = 0xcafe0001;
    wr.send_flags = SEND_SIGNALED | SEND_SOLICITED;
    a_page_is("write_imm", wr, MLX_WQE_RDMA_WRITE_IMM);
    for (u32 i = 0; i < 8; i++)
        list[i] = (struct verbs_sge){0x7000000 + 0x2000 * i, 0x1000 + i, 0x100 * i + 1};
    a_send_is("write_gather", (struct verbs_send_wr){.opcode = WR_RDMA_WRITE,
                                                     .sg_list = list,
                                                     .num_sge = 8,
                                                     .send_flags = SEND_SIGNALED});
    wr = (struct verbs_send_wr){.opcode = WR_RDMA_READ,
                                .sg_list = &sge,
                                .num_sge = 1,
                                .send_flags = SEND_SIGNALED | SEND_FENCE};
    a_page_is("read", wr, MLX_WQE_RDMA_READ);
}

static void atomics(void **state)
{
    struct verbs_sge sge = {0xfedcba9876543210, 8, KEY};
    struct verbs_send_wr wr = {
        .sg_list = &sge, .num_sge = 1, .send_flags = SEND_SIGNALED, .swap = 0x0102030405060708};

    (void)state;
    wr.opcode = WR_ATOMIC_CMP_AND_SWP;
    wr.compare_add = 0x1112131415161718;
    a_send_is("compare_and_swap", wr);
    wr.opcode = WR_ATOMIC_FETCH_AND_ADD;
    wr.compare_add = 0x0102030405060708;
    wr.swap = 99;
    a_send_is("fetch_and_add", wr);
}

static void short_data_of_the_hosts_memory_goes_into_the_element(void **state)
{
    static char text[] = "a text in the element", longer[] = "twenty-eight bytes are here!";
    static u8 page[64];
    struct verbs_sge sge = {0, sizeof(text) - 1, KEY};
    struct verbs_send_wr wr = {
        .opcode = WR_SEND, .sg_list = &sge, .num_sge = 1, .send_flags = SEND_SIGNALED};

    (void)state;
    sge.addr = virt_to_phys(text).v;
    a_send_is("send_inline", wr);
    wr.opcode = WR_RDMA_WRITE;
    sge.addr = virt_to_phys(longer).v;
    sge.length = sizeof(longer) - 1;
    a_send_is("write_inline", wr);
    sge.addr = virt_to_phys(page).v;
    sge.length = 29; /* no room in the first block */
    assert_int_equal(mlx_wqe_send(&ring, INDEX, &wr), 3);
    wr.opcode = WR_SEND;
    sge.length = 44;
    assert_int_equal(mlx_wqe_send(&ring, INDEX, &wr), 4);
    sge.length = 45;
    assert_int_equal(mlx_wqe_send(&ring, INDEX, &wr), 2);
    sge.length = 8;
    wr.opcode = WR_RDMA_READ; /* where data comes in */
    assert_int_equal(mlx_wqe_send(&ring, INDEX, &wr), 3);
    wr.opcode = WR_SEND;
    sge.lkey = 77; /* whose address is not the host's */
    assert_int_equal(mlx_wqe_send(&ring, INDEX, &wr), 2);
}

static void a_nop(void **state)
{
    (void)state;
    begin();
    is_golden("nop", mlx_wqe_nop(&ring, INDEX));
}

static void a_receive_ends_with_a_segment_that_says_so_unless_it_is_full(void **state)
{
    struct verbs_sge sge[3] = {{0x1000, 1000, 0x1234}, {0x9000, 0, 3}, {0x2000, 2000, 0x5678}};
    struct verbs_recv_wr wr = {.sg_list = sge, .num_sge = 3};
    u8 wqe[4 * MLX_DS];

    (void)state;
    memset(wqe, 0xa5, sizeof(wqe));
    mlx_wqe_recv(wqe, 4, &wr);
    assert_int_equal(read_golden("recv"), 3 * MLX_DS);
    assert_memory_equal(wqe, golden, 3 * MLX_DS);
    assert_int_equal(wqe[3 * MLX_DS], 0xa5);
    memset(wqe, 0xa5, sizeof(wqe));
    mlx_wqe_recv(wqe, 2, &wr);
    assert_memory_equal(wqe, golden, 2 * MLX_DS);
    assert_int_equal(wqe[2 * MLX_DS], 0xa5);
}

static const hpa_t *pages(u32 count)
{
    static hpa_t frames[128];

    for (u32 i = 0; i < count; i++)
        frames[i] = HPA(0x100000 + 0x3000 * i);
    return frames;
}

static struct mlx_umr umr_of(u32 count)
{
    return (struct mlx_umr){.key = 0xa1b25a,
                            .frames = pages(count),
                            .count = count,
                            .writable = true,
                            .enable = true,
                            .new_byte = 0x5b,
                            .pd = 0x77,
                            .access = ACCESS_LOCAL_WRITE | ACCESS_REMOTE_READ | ACCESS_REMOTE_WRITE,
                            .iova = 0x40000800,
                            .length = count * PAGE_SIZE};
}

static void a_key_is_made_valid_with_its_pages_in_the_element_or_beside_it(void **state)
{
    static u8 list[128 * 8] ALIGNED(64);
    struct mlx_umr u = umr_of(10);

    (void)state;
    u.length = 9 * PAGE_SIZE;
    begin();
    is_golden("register", mlx_wqe_register(&ring, INDEX, &u));
    u = umr_of(100);
    u.list = list;
    u.list_at = HPA(0x600000);
    begin();
    memset(list, 0xa5, sizeof(list));
    is_golden("register_list", mlx_wqe_register(&ring, INDEX, &u));
    for (u32 i = 0; i < 100; i++)
        assert_int_equal(mlx_get(list + 8 * i, MLX_AT(0, 63, 0)), 0x100003 + 0x3000 * i);
    assert_true(mem_is_zero(list + 100 * 8, 4 * 8));
    assert_int_equal(list[104 * 8], 0xa5);
}

static void the_longest_element_is_as_long_as_is_said(void **state)
{
    struct mlx_umr u = umr_of(MLX_UMR_INLINE_MOST);

    (void)state;
    assert_int_equal(mlx_wqe_register(&ring, INDEX, &u), mlx_umr_most());
    assert_true(mlx_umr_most() <= mlx_mask(ctrl_ds));
}

static void pages_can_come_in_pieces_and_the_key_stays_free_until_the_last(void **state)
{
    struct mlx_umr u = umr_of(8);
    const u8 *ctrl = mlx_block(&ring, INDEX) + MLX_DS;

    (void)state;
    u.first = 0x20000 + 96;
    u.enable = false;
    assert_int_equal(mlx_wqe_register(&ring, INDEX, &u), MLX_UMR_HEAD + 4);
    assert_int_equal(mlx_get(ctrl, umr_mkey_mask), 0);
    assert_int_equal(mlx_get(ctrl, umr_translation_offset_en), 1);
    assert_int_equal(mlx_get(ctrl, umr_translation_offset), 48);
    assert_int_equal(mlx_get(ctrl, umr_translation_offset_47_16), 1);
    assert_true(mem_is_zero(mlx_block(&ring, INDEX + 1), MLX_UMR_MKEY_SIZE));
}

static void a_region_that_is_only_read_has_no_other_right(void **state)
{
    struct mlx_umr u = umr_of(2);
    const u8 *mkey = mlx_block(&ring, INDEX + 1);

    (void)state;
    u.access = 0;
    u.writable = false;
    u.keep_atomic = true;
    assert_int_equal(mlx_wqe_register(&ring, INDEX, &u), MLX_UMR_HEAD + 4);
    assert_int_equal(mlx_get(mkey, MLX_AT(0, 31, 0)), 1u << mlx_low(mkc_lr));
    assert_int_equal(mlx_get(mlx_block(&ring, 0), MLX_AT(0, 63, 0)), 0x100001);
    assert_false(mlx_get(mlx_block(&ring, INDEX) + MLX_DS, umr_mkey_mask) & MLX_UMR_MASK_A);
}

static void a_key_is_freed(void **state)
{
    (void)state;
    begin();
    is_golden("invalidate", mlx_wqe_invalidate(&ring, INDEX, 0xa1b25b));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sends),
        cmocka_unit_test(writes_and_reads),
        cmocka_unit_test(atomics),
        cmocka_unit_test(short_data_of_the_hosts_memory_goes_into_the_element),
        cmocka_unit_test(a_nop),
        cmocka_unit_test(a_receive_ends_with_a_segment_that_says_so_unless_it_is_full),
        cmocka_unit_test(a_key_is_made_valid_with_its_pages_in_the_element_or_beside_it),
        cmocka_unit_test(the_longest_element_is_as_long_as_is_said),
        cmocka_unit_test(pages_can_come_in_pieces_and_the_key_stays_free_until_the_last),
        cmocka_unit_test(a_region_that_is_only_read_has_no_other_right),
        cmocka_unit_test(a_key_is_freed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
