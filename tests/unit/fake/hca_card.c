/* SPDX-License-Identifier: BSD-2-Clause */
#include <stdlib.h>
#include <string.h>
#include "hca_card.h"

struct card card;

static u64 now(void)
{
    return card.time += 1000;
}

void card_init(u8 port_type)
{
    struct hca_options o = {.mac = {2, 0, 0, 0, 0, 1},
                            .port_type = port_type,
                            .lid = 1,
                            .boot_pages = 2,
                            .init_pages = 70,
                            .umr = true};

    card = (struct card){.memory = aligned_alloc(PAGE_SIZE, CARD_MEMORY)};
    memset(card.memory, 0, CARD_MEMORY);
    hca_init(&card.hca, &o, NULL, now);
    card.hca.range[0] = (struct memory_range){0, CARD_MEMORY, card.memory, NULL, 0};
    card.hca.ranges = 1;
    card_reset(port_type);
}

static void await_init(void)
{
    while (bar_read(&card.hca, 0x1fc, 4) & 0x80)
        ;
}

void card_reset(u8 port_type)
{
    card.hca.options.port_type = port_type;
    cfg_init(&card.hca);
    hca_reset(&card.hca);
    card.page_next = 0;
    await_init();
    bar_write(&card.hca, 0x10, 0, 4);
    bar_write(&card.hca, 0x14, __builtin_bswap32((u32)CARD_CMDQ), 4);
    await_init();
}

void card_free(void)
{
    hca_free(&card.hca);
    free(card.memory);
}

u8 *card_at(u64 gpa)
{
    return card.memory + gpa;
}

void card_run(void)
{
    for (u32 i = 0; i < 10000 && hca_run(&card.hca); i++)
        ;
}

/* --- commands --------------------------------------------------------------------------------------------- */

static u64 chain(u64 at, u32 size, const u8 *from)
{
    u64 first = size > MLX_CMD_INLINE ? at : 0;

    for (u32 done = MLX_CMD_INLINE, n = 0; done < size; n++, at += MLX_MAILBOX_ALIGN) {
        u32 part = MIN(MLX_MAILBOX_DATA, size - done);
        u8 *box = card_at(at);

        memset(box, 0, MLX_MAILBOX_SIZE);
        if (from)
            memcpy(box, from + done, part);
        done += part;
        mlx_set(box, mailbox_next_pointer, done < size ? at + MLX_MAILBOX_ALIGN : 0);
        mlx_set(box, mailbox_block_number, n);
        mlx_set(box, mailbox_token, card.token);
    }
    return first;
}

void card_sign(u8 *entry)
{
    mlx_set(entry, cmd_entry_signature, 0);
    mlx_set(entry, cmd_entry_signature, mlx_signature(entry, MLX_CMD_ENTRY_SIZE));
}

u8 *card_entry(const u8 *in, u32 in_size, u32 out_size)
{
    u8 *entry = card_at(CARD_CMDQ);

    if (!++card.token)
        card.token = 1;
    memset(entry, 0, MLX_CMD_ENTRY_SIZE);
    mlx_set(entry, cmd_entry_type, MLX_CMD_TYPE);
    mlx_set(entry, cmd_entry_input_length, in_size);
    mlx_set(entry, cmd_entry_output_length, out_size);
    mlx_set(entry, cmd_entry_token, card.token);
    mlx_set(entry, cmd_entry_ownership, 1);
    memcpy(entry + MLX_CMD_IN, in, MIN(in_size, MLX_CMD_INLINE));
    mlx_set(entry, cmd_entry_input_mailbox_pointer, chain(CARD_BOXES, in_size, in));
    mlx_set(entry, cmd_entry_output_mailbox_pointer, chain(CARD_OUT, out_size, NULL));
    card_sign(entry);
    return entry;
}

u32 card_ring(void)
{
    bar_write(&card.hca, 0x18, __builtin_bswap32(1), 4);
    (void)hca_run(&card.hca);
    return (u32)mlx_get(card_at(CARD_CMDQ), cmd_entry_status);
}

static void read_out(u8 *out, u32 size)
{
    memcpy(out, card_at(CARD_CMDQ) + MLX_CMD_OUT, MIN(size, MLX_CMD_INLINE));
    for (u32 done = MLX_CMD_INLINE, n = 0; done < size; n++, done += MLX_MAILBOX_DATA)
        memcpy(out + done, card_at(CARD_OUT + n * MLX_MAILBOX_ALIGN),
               MIN(MLX_MAILBOX_DATA, size - done));
}

u32 card_command(const u8 *in, u32 in_size, u8 *out, u32 out_size)
{
    u32 delivery;

    card_entry(in, in_size, out_size);
    delivery = card_ring();
    if (delivery)
        return 0x100 | delivery;
    if (out)
        read_out(out, out_size);
    return card_at(CARD_CMDQ)[MLX_CMD_OUT];
}

u32 card_simple(enum mlx_opcode opcode, u32 op_mod, u32 value, u32 *number)
{
    u8 in[16] = {0}, out[16] = {0};
    u32 status, size = opcode == MLX_ENABLE_HCA || opcode == MLX_DISABLE_HCA ? 12 : 16;

    mlx_set(in, in_opcode, opcode);
    mlx_set(in, in_op_mod, op_mod);
    mlx_set(in, MLX_AT(8, 31, 0), value);
    status = card_command(in, sizeof(in), out, size);
    if (number)
        *number = (u32)mlx_get(out, object_number);
    return status;
}

static void give(u32 count)
{
    static u8 in[16 + 8 * 128];

    memset(in, 0, sizeof(in));
    mlx_set(in, in_opcode, MLX_MANAGE_PAGES);
    mlx_set(in, in_op_mod, MLX_PAGES_GIVE);
    mlx_set(in, pages_count, count);
    for (u32 i = 0; i < count; i++)
        mlx_set(in + MLX_PAGES_PAS + 8 * i, MLX_AT(0, 63, 0),
                CARD_PAGES + card.page_next++ * PAGE_SIZE);
    (void)card_command(in, 16 + 8 * count, NULL, 16);
}

u32 card_allow_atomics(void)
{
    u8 in[16 + MLX_CAP_SIZE] = {0};

    mlx_set(in, in_opcode, MLX_SET_HCA_CAP);
    mlx_set(in, in_op_mod, MLX_CAP_ATOMIC << 1);
    mlx_set(in + 16, atomic_cap_req_8B_endianness_mode, 1);
    (void)card_simple(MLX_ENABLE_HCA, 0, 0, NULL);
    return card_command(in, sizeof(in), NULL, 16);
}

void card_bring_up(void)
{
    u8 init[32] = {0};

    (void)card_simple(MLX_ENABLE_HCA, 0, 0, NULL);
    (void)card_simple(MLX_SET_ISSI, 0, 1, NULL);
    give(2);
    give(70);
    mlx_set(init, in_opcode, MLX_INIT_HCA);
    (void)card_command(init, sizeof(init), NULL, 16);
}

/* --- objects ------------------------------------------------------------------------------------------------ */

u32 card_uar(void)
{
    u32 uar;

    (void)card_simple(MLX_ALLOC_UAR, 0, 0, &uar);
    return uar;
}

u32 card_eq(u32 uar, u64 mask)
{
    u8 in[272 + 8] = {0}, out[16];

    memset(card_at(CARD_FREE), 0xff, PAGE_SIZE);
    mlx_set(in, in_opcode, MLX_CREATE_EQ);
    mlx_set(in + MLX_CTX, eqc_log_eq_size, 6);
    mlx_set(in + MLX_CTX, eqc_uar_page, uar);
    mlx_set(in, create_eq_in_event_bitmask, mask);
    mlx_set(in + MLX_PAS, MLX_AT(0, 63, 0), CARD_FREE);
    return card_command(in, sizeof(in), out, 16) ? 0 : (u32)mlx_get(out, mlx_eqn);
}

u32 card_cq(u32 uar, u32 eqn, u64 at, u64 record)
{
    u8 in[272 + 8] = {0}, out[16];

    memset(card_at(at), 0xff, PAGE_SIZE);
    mlx_set(in, in_opcode, MLX_CREATE_CQ);
    mlx_set(in + MLX_CTX, cqc_log_cq_size, 6);
    mlx_set(in + MLX_CTX, cqc_uar_page, uar);
    mlx_set(in + MLX_CTX, cqc_c_eqn, eqn);
    mlx_set(in + MLX_CTX, cqc_dbr_addr, record);
    mlx_set(in + MLX_PAS, MLX_AT(0, 63, 0), at);
    return card_command(in, sizeof(in), out, 16) ? 0 : (u32)mlx_get(out, object_number);
}

u32 card_mkey(const u8 mkc[64], const u64 *mtts, u32 count, u32 *index)
{
    u8 in[272 + 16 * 8] = {0}, out[16] = {0};
    u32 octowords = (count + 1) / 2, status;

    mlx_set(in, in_opcode, MLX_CREATE_MKEY);
    memcpy(in + MLX_CTX, mkc, 64);
    mlx_set(in, create_mkey_in_translations_octword_actual_size, octowords);
    for (u32 i = 0; i < count; i++)
        mlx_set(in + MLX_PAS + 8 * i, MLX_AT(0, 63, 0), mtts[i]);
    status = card_command(in, 272 + MLX_OCTWORD * octowords, out, 16);
    *index = (u32)mlx_get(out, object_number);
    return status;
}

u32 card_qp(const u8 qpc[MLX_QPC_SIZE], u64 at, u32 pages, u32 *qpn)
{
    u8 in[272 + 8 * 8] = {0}, out[16] = {0};
    u32 status;

    mlx_set(in, in_opcode, MLX_CREATE_QP);
    memcpy(in + MLX_QPC, qpc, MLX_QPC_SIZE);
    for (u32 i = 0; i < pages; i++)
        mlx_set(in + MLX_PAS + 8 * i, MLX_AT(0, 63, 0), at + i * PAGE_SIZE);
    status = card_command(in, 272 + 8 * pages, out, 16);
    *qpn = (u32)mlx_get(out, object_number);
    return status;
}
