/* SPDX-License-Identifier: BSD-2-Clause */
/* The command queue: entries of 64 bytes, inputs and outputs in them and in chains of mailbox blocks (manual, command
 * interface; mlx5_ifc.h has cmd_in and cmd_out). */
#include <stdlib.h>
#include "tools/hca/hca.h"

static enum mlx_delivery wrong(struct hca *h, enum mlx_delivery delivery, const char *what)
{
    hca_refuse(h, MLX_INTERNAL_ERR, "command entry: %s (delivery status %u)", what, delivery);
    return delivery;
}

static bool checks_blocks(const struct hca *h)
{
    return mlx_get(h->cap[MLX_CAP_GENERAL], cap_cmdif_checksum);
}

/* --- the entry ---------------------------------------------------------------------------------------- */

static enum mlx_delivery check_entry(struct hca *h, const u8 *entry)
{
    static const struct part parts[] = {
        {&layout_cmd_entry, 0}, {&layout_in, MLX_CMD_IN}, {&layout_in, MLX_CMD_OUT}};
    u8 head[MLX_CMD_ENTRY_SIZE];
    u32 bits;

    if (mlx_signature(entry, MLX_CMD_ENTRY_SIZE))
        return wrong(h, MLX_DELIVERY_SIGNATURE, "signature");
    if (mlx_get(entry, cmd_entry_type) != MLX_CMD_TYPE)
        return wrong(h, MLX_DELIVERY_TYPE, "type is not 7");
    memcpy(head, entry, sizeof(head));
    memset(head + MLX_CMD_IN, 0, 2 * MLX_CMD_INLINE);
    if (layout_reserved(parts, 1, head, sizeof(head), &bits) != sizeof(head) ||
        mlx_get(entry, cmd_entry_status))
        return wrong(h, MLX_DELIVERY_RESERVED, "reserved bits are set");
    if (!mlx_get(entry, cmd_entry_token))
        return wrong(h, MLX_DELIVERY_TOKEN, "token is zero");
    if (mlx_get(entry, cmd_entry_input_length) < MLX_CMD_INLINE ||
        mlx_get(entry, cmd_entry_input_length) > COMMAND_MOST)
        return wrong(h, MLX_DELIVERY_IN_LENGTH, "input_length");
    if (mlx_get(entry, cmd_entry_output_length) < 8 ||
        mlx_get(entry, cmd_entry_output_length) > COMMAND_MOST)
        return wrong(h, MLX_DELIVERY_OUT_LENGTH, "output_length");
    return MLX_DELIVERY_OK;
}

/* --- chains of blocks --------------------------------------------------------------------------------- */

struct chain {
    const u8 *entry;
    u32 next_field; /* of the entry: the pointer to the first block */
    u32 size;       /* bytes, those in the entry included */
    bool out;
};

static enum mlx_delivery bad_pointer(const struct chain *chain)
{
    return chain->out ? MLX_DELIVERY_OUT_POINTER : MLX_DELIVERY_IN_POINTER;
}

static enum mlx_delivery check_block(struct hca *h, const struct chain *chain, const u8 *block,
                                     u32 number)
{
    if (mlx_get(block, mailbox_token) != mlx_get(chain->entry, cmd_entry_token))
        return wrong(h, MLX_DELIVERY_TOKEN, "token of a mailbox block");
    if (mlx_get(block, mailbox_block_number) != number)
        return wrong(h, MLX_DELIVERY_BLOCK_NUMBER, "block_number");
    if (!checks_blocks(h) || chain->out)
        return MLX_DELIVERY_OK;
    if (mlx_signature(block + MLX_MAILBOX_DATA, MLX_MAILBOX_SIZE - 1 - MLX_MAILBOX_DATA) ||
        mlx_signature(block, MLX_MAILBOX_SIZE))
        return wrong(h, MLX_DELIVERY_SIGNATURE, "signature of a mailbox block");
    return MLX_DELIVERY_OK;
}

static void sign_block(u8 *block)
{
    mlx_set(block, mailbox_ctrl_signature, 0);
    mlx_set(block, mailbox_signature, 0);
    mlx_set(block, mailbox_ctrl_signature,
            mlx_signature(block + MLX_MAILBOX_DATA, MLX_MAILBOX_SIZE - 2 - MLX_MAILBOX_DATA));
    mlx_set(block, mailbox_signature, mlx_signature(block, MLX_MAILBOX_SIZE - 1));
}

/* Copies what is behind the bytes in the entry, in or out. from and to are the whole input and output; one is NULL; both: only
 * looks at the chain. */
static enum mlx_delivery walk(struct hca *h, const struct chain *chain, u8 *to, const u8 *from)
{
    u64 at = mlx_get(chain->entry, chain->next_field);

    for (u32 done = MLX_CMD_INLINE, number = 0; done < chain->size; number++) {
        u32 part = MIN(MLX_MAILBOX_DATA, chain->size - done);
        enum mlx_delivery d;
        u8 *block;

        if (!at || at & (MLX_MAILBOX_ALIGN - 1))
            return wrong(h, bad_pointer(chain), "mailbox pointer is not aligned to 1024");
        block = hca_dma(h, at, MLX_MAILBOX_SIZE, "mailbox");
        if (!block)
            return wrong(h, bad_pointer(chain), "mailbox pointer");
        if ((d = check_block(h, chain, block, number)) != MLX_DELIVERY_OK)
            return d;
        if (to)
            memcpy(to + done, block, part);
        if (from) {
            memcpy(block, from + done, part);
            sign_block(block);
        }
        done += part;
        at = mlx_get(block, mailbox_next_pointer);
    }
    return MLX_DELIVERY_OK;
}

static struct chain input_of(const u8 *entry)
{
    return (struct chain){entry, cmd_entry_input_mailbox_pointer,
                          (u32)mlx_get(entry, cmd_entry_input_length), false};
}

static struct chain output_of(const u8 *entry)
{
    return (struct chain){entry, cmd_entry_output_mailbox_pointer,
                          (u32)mlx_get(entry, cmd_entry_output_length), true};
}

/* --- one command -------------------------------------------------------------------------------------- */

static u8 *entry_at(struct hca *h, u32 slot)
{
    return hca_dma(h, h->cmdq + (slot << HCA_LOG_STRIDE), MLX_CMD_ENTRY_SIZE, "command entry");
}

/* The owner byte is the last that is written. */
static void answer(u8 *entry, enum mlx_delivery delivery)
{
    u8 done[MLX_CMD_ENTRY_SIZE];

    memcpy(done, entry, sizeof(done));
    mlx_set(done, cmd_entry_status, delivery);
    mlx_set(done, cmd_entry_ownership, 0);
    mlx_set(done, cmd_entry_signature, 0);
    mlx_set(done, cmd_entry_signature, mlx_signature(done, sizeof(done)));
    memcpy(entry, done, sizeof(done) - 1);
    __atomic_store_n(entry + sizeof(done) - 1, done[sizeof(done) - 1], __ATOMIC_RELEASE);
}

static void tell(struct hca *h, u32 slot)
{
    u8 eqe[MLX_EQE_SIZE] = {0};

    mlx_set(eqe, eqe_cmd_vector, 1u << slot);
    eq_event(h, MLX_EVENT_CMD, 0, eqe);
}

/* An EQ that this command made must not tell of it. */
static void finish(struct hca *h, u32 slot, enum mlx_delivery delivery, bool told)
{
    u8 *entry = entry_at(h, slot);

    if (entry)
        answer(entry, delivery);
    if (told)
        tell(h, slot);
}

static void put_output(struct hca *h, u8 *entry, const struct command *c)
{
    struct chain out = output_of(entry);

    memcpy(entry + MLX_CMD_OUT, c->out, MIN(c->out_size, MLX_CMD_INLINE));
    (void)walk(h, &out, NULL, c->out);
}

static enum mlx_delivery take_input(struct hca *h, u8 *entry, struct command *c)
{
    struct chain in = input_of(entry), out = output_of(entry);
    enum mlx_delivery d;

    c->in_size = in.size;
    c->out_size = out.size;
    memcpy(c->in, entry + MLX_CMD_IN, MLX_CMD_INLINE);
    if ((d = walk(h, &in, c->in, NULL)) == MLX_DELIVERY_OK)
        d = walk(h, &out, NULL, NULL);
    return d;
}

static bool holds_for_pages(struct hca *h, const struct command *c)
{
    u32 count;

    if (mlx_get(c->in, in_opcode) == MLX_MANAGE_PAGES || !eq_wants(h, MLX_EVENT_PAGE_REQUEST) ||
        !fault_take(h, FAULT_PAGE_REQUEST, &count))
        return false;
    pages_request(h, (s32)(count ? count : 16));
    return true;
}

static void complete(struct hca *h, struct command *c)
{
    bool told = eq_wants(h, MLX_EVENT_CMD);
    u8 *entry;

    command_run(h, c);
    entry = entry_at(h, c->slot);
    if (entry)
        put_output(h, entry, c);
    finish(h, c->slot, MLX_DELIVERY_OK, told);
}

/* The entry is read once: what the driver does to it while it is the card's has no effect. */
static void execute(struct hca *h, u32 slot)
{
    struct command c = {.slot = slot, .in = h->cmd_in, .out = h->cmd_out};
    u8 *entry = entry_at(h, slot), copy[MLX_CMD_ENTRY_SIZE];
    enum mlx_delivery d;

    if (!entry)
        return;
    memcpy(copy, entry, sizeof(copy));
    if (!mlx_get(copy, cmd_entry_ownership)) {
        hca_refuse(h, MLX_INTERNAL_ERR, "doorbell of command slot %u, which is not the card's",
                   slot);
        return;
    }
    h->commands++;
    fault_command(h);
    if (fault_take(h, FAULT_COMMAND_TIMEOUT, NULL))
        return;
    if ((d = check_entry(h, copy)) == MLX_DELIVERY_OK)
        d = take_input(h, copy, &c);
    if (d != MLX_DELIVERY_OK) {
        finish(h, slot, d, eq_wants(h, MLX_EVENT_CMD));
        return;
    }
    if (!h->waits && holds_for_pages(h, &c)) {
        h->waits = malloc(sizeof(c));
        c.in = memcpy(malloc(c.in_size), c.in, c.in_size);
        *h->waits = c;
        return;
    }
    complete(h, &c);
}

void cmd_resume(struct hca *h)
{
    struct command *c = h->waits;

    if (!c || h->asked > 0)
        return;
    h->waits = NULL;
    c->out = h->cmd_out;
    complete(h, c);
    free(c->in);
    free(c);
}

void cmd_doorbell(struct hca *h, u32 vector)
{
    if (!h->cmdq_is_set || h->nic_interface != MLX_NIC_FULL) {
        hca_refuse(h, MLX_BAD_SYS_STATE, "command doorbell before cmdq_phy_addr was written");
        return;
    }
    if (h->initializing) {
        hca_refuse(h, MLX_BAD_SYS_STATE, "command doorbell before `initializing` was read as 0");
        return;
    }
    for (u32 slot = 0; slot < 32; slot++) {
        if (!(vector >> slot & 1))
            continue;
        if (slot >= 1u << HCA_LOG_SLOTS)
            hca_refuse(h, MLX_BAD_PARAM, "command doorbell of slot %u: there are %u", slot,
                       1u << HCA_LOG_SLOTS);
        else
            execute(h, slot);
    }
}
