/* SPDX-License-Identifier: BSD-2-Clause */
/* The command queue (manual, command interface): entries of 64 bytes, of which two are used: one for all commands, one
 * after the other, and the last for MANAGE_PAGES, so that firmware can have pages while a command waits for them.
 * Inputs and outputs longer than 16 bytes lie in chains of mailbox blocks, which are made once. */
#include "drivers/net/mlx/mlx.h"
#include "kernel/frames.h"
#include "kernel/heap.h"
#include "kernel/log.h"

#define SPIN        USEC(10)
#define YIELD       MSEC(2)
#define NAP         MSEC(1)
#define NAP_MOST    MSEC(100)
#define LIMIT       SEC(10)
#define LIMIT_LONG  SEC(60) /* what firmware may take to start or end all that it does */
#define BUSY_TRIES  50
#define BUSY_WAIT   MSEC(20)
#define INIT_LIMIT  SEC(10)
#define POWER_LIMIT SEC(120) /* as Linux has it, before the first command */
#define PAGE_BLOCKS 10u      /* of MANAGE_PAGES' slot, each way */

/* --- names --------------------------------------------------------------------------------------------- */

static const struct {
    u16 opcode;
    const char *name;
} opcodes[] = {
#define NAME(op)                                                                                   \
    {                                                                                              \
        MLX_##op, #op                                                                              \
    }
    NAME(QUERY_HCA_CAP),
    NAME(QUERY_ADAPTER),
    NAME(INIT_HCA),
    NAME(TEARDOWN_HCA),
    NAME(ENABLE_HCA),
    NAME(DISABLE_HCA),
    NAME(QUERY_PAGES),
    NAME(MANAGE_PAGES),
    NAME(SET_HCA_CAP),
    NAME(QUERY_ISSI),
    NAME(SET_ISSI),
    NAME(SET_DRIVER_VERSION),
    NAME(CREATE_MKEY),
    NAME(DESTROY_MKEY),
    NAME(QUERY_SPECIAL_CONTEXTS),
    NAME(CREATE_EQ),
    NAME(DESTROY_EQ),
    NAME(CREATE_CQ),
    NAME(DESTROY_CQ),
    NAME(CREATE_QP),
    NAME(DESTROY_QP),
    NAME(RST2INIT_QP),
    NAME(INIT2RTR_QP),
    NAME(RTR2RTS_QP),
    NAME(2ERR_QP),
    NAME(2RST_QP),
    NAME(QUERY_QP),
    NAME(QUERY_NIC_VPORT_CONTEXT),
    NAME(MODIFY_NIC_VPORT_CONTEXT),
    NAME(SET_ROCE_ADDRESS),
    NAME(ALLOC_PD),
    NAME(DEALLOC_PD),
    NAME(ALLOC_UAR),
    NAME(DEALLOC_UAR),
    NAME(ACCESS_REG),
#undef NAME
};

const char *mlx_opcode_name(u32 opcode)
{
    for (unsigned i = 0; i < COUNT_OF(opcodes); i++)
        if (opcodes[i].opcode == opcode)
            return opcodes[i].name;
    return "a command";
}

static const char *delivery_name(u32 delivery)
{
    static const char *const names[] = {
        [MLX_DELIVERY_SIGNATURE] = "its signature is wrong",
        [MLX_DELIVERY_TOKEN] = "a token is wrong",
        [MLX_DELIVERY_BLOCK_NUMBER] = "a mailbox block has the wrong number",
        [MLX_DELIVERY_OUT_POINTER] = "a pointer to an output mailbox is wrong",
        [MLX_DELIVERY_IN_POINTER] = "a pointer to an input mailbox is wrong",
        [MLX_DELIVERY_INTERNAL] = "firmware failed",
        [MLX_DELIVERY_IN_LENGTH] = "the input's length is wrong",
        [MLX_DELIVERY_OUT_LENGTH] = "the output's length is wrong",
        [MLX_DELIVERY_RESERVED] = "a reserved field is set",
        [MLX_DELIVERY_TYPE] = "its type is wrong",
    };

    return delivery < COUNT_OF(names) && names[delivery] ? names[delivery] : "unknown";
}

static const struct status {
    u8 status;
    enum err e;
    const char *name;
} statuses[] = {
    {MLX_INTERNAL_ERR, E_IO, "internal error"},
    {MLX_BAD_OP, E_UNSUPPORTED, "no such command"},
    {MLX_BAD_PARAM, E_INVAL, "bad parameter"},
    {MLX_BAD_SYS_STATE, E_STATE, "not in this state of the card"},
    {MLX_BAD_RES, E_NOENT, "no such resource"},
    {MLX_RES_BUSY, E_AGAIN, "the resource is busy"},
    {MLX_LIM_ERR, E_NOMEM, "a limit of the card is exceeded"},
    {MLX_BAD_RES_STATE, E_STATE, "not in this state of the resource"},
    {MLX_BAD_INDEX, E_RANGE, "no such index"},
    {MLX_NO_RES, E_NOMEM, "the card has no more of them"},
    {MLX_BAD_QP_STATE, E_STATE, "not in this state of the queue pair"},
    {MLX_BAD_PKT, E_FORMAT, "bad packet"},
    {MLX_BAD_SIZE, E_RANGE, "bad size"},
    {MLX_BAD_INPUT_LEN, E_FORMAT, "wrong input length"},
    {MLX_BAD_OUTPUT_LEN, E_FORMAT, "wrong output length"},
};

static const struct status *status_of(u32 status)
{
    static const struct status unknown = {0, E_IO, "unknown status"};

    for (unsigned i = 0; i < COUNT_OF(statuses); i++)
        if (statuses[i].status == status)
            return &statuses[i];
    return &unknown;
}

/* --- waiting -------------------------------------------------------------------------------------------- */

void mlx_pause(u64 waited)
{
    mlx_relax();
    if (waited >= YIELD)
        thread_sleep_until(time_now() + MIN(MAX(waited / 16, NAP), NAP_MOST));
    else if (waited >= SPIN)
        thread_yield();
}

u32 mlx_iseg(struct mlx *m, u32 field)
{
    u32 word;

    lock_acquire(&m->base.lock);
    word = mlx_reg_read(m->bar, mlx_offset(field));
    lock_release(&m->base.lock);
    return word >> mlx_low(field) & (u32)mlx_mask(field);
}

bool mlx_await(struct mlx *m, u32 field, u32 value, u64 limit)
{
    u64 start = time_now();

    while (mlx_iseg(m, field) != value) {
        if (time_now() - start > limit)
            return false;
        mlx_pause(time_now() - start);
    }
    return true;
}

/* --- memory --------------------------------------------------------------------------------------------- */

enum err mlx_memory_take(struct mlx_memory *mem, u64 size)
{
    u32 order = 0;

    while (PAGE_SIZE << order < size)
        order++;
    *mem = (struct mlx_memory){.at = frame_alloc(order, FRAME_KERNEL, 0), .order = order};
    if (!mem->at.v)
        return E_NOMEM;
    mem->p = phys_to_virt(mem->at);
    return OK;
}

void mlx_memory_give_back(struct mlx_memory *mem)
{
    if (mem->at.v)
        (void)frame_put(mem->at);
    *mem = (struct mlx_memory){.p = NULL};
}

/* --- chains of mailbox blocks ------------------------------------------------------------------------------ */

static u8 *block_at(const struct mlx_memory *mem, u32 i)
{
    return mem->p + i * MLX_MAILBOX_ALIGN;
}

static u32 blocks_of(u32 size)
{
    return size > MLX_CMD_INLINE ? (size - MLX_CMD_INLINE + MLX_MAILBOX_DATA - 1) / MLX_MAILBOX_DATA
                                 : 0;
}

static void sign_block(u8 *block)
{
    mlx_set(block, mailbox_ctrl_signature,
            mlx_signature(block + MLX_MAILBOX_DATA, MLX_MAILBOX_SIZE - 2 - MLX_MAILBOX_DATA));
    mlx_set(block, mailbox_signature, mlx_signature(block, MLX_MAILBOX_SIZE - 1));
}

/* Makes a chain for what is behind the bytes in the entry, and returns where it begins; 0: nothing is. */
static u64 chain(const struct mlx_memory *mem, const u8 *from, u32 size, u8 token)
{
    u32 count = blocks_of(size);

    for (u32 i = 0; i < count; i++) {
        u8 *block = block_at(mem, i);
        u32 done = MLX_CMD_INLINE + i * MLX_MAILBOX_DATA;

        memset(block, 0, MLX_MAILBOX_SIZE);
        if (from)
            memcpy(block, from + done, MIN(size - done, MLX_MAILBOX_DATA));
        if (i + 1 < count)
            mlx_set(block, mailbox_next_pointer, mem->at.v + (i + 1) * MLX_MAILBOX_ALIGN);
        mlx_set(block, mailbox_block_number, i);
        mlx_set(block, mailbox_token, token);
        sign_block(block);
    }
    return count ? mem->at.v : 0;
}

static void unchain(const struct mlx_memory *mem, u8 *to, u32 size)
{
    for (u32 i = 0; i < blocks_of(size); i++) {
        u32 done = MLX_CMD_INLINE + i * MLX_MAILBOX_DATA;

        memcpy(to + done, block_at(mem, i), MIN(size - done, MLX_MAILBOX_DATA));
    }
}

/* --- one command ------------------------------------------------------------------------------------------- */

struct command {
    const u8 *in;
    u8 *out;
    u32 in_size, out_size;
};

static u32 opcode_of(const struct command *c)
{
    return (u32)mlx_get(c->in, in_opcode);
}

/* The owner bit goes to the card last. */
static void hand_over(struct mlx *m, struct mlx_slot *s, const struct command *c)
{
    u8 entry[MLX_CMD_ENTRY_SIZE] = {0};

    if (!++s->token) /* which is none */
        s->token = 1;
    mlx_set(entry, cmd_entry_type, MLX_CMD_TYPE);
    mlx_set(entry, cmd_entry_input_length, c->in_size);
    mlx_set(entry, cmd_entry_input_mailbox_pointer, chain(&s->in, c->in, c->in_size, s->token));
    memcpy(entry + MLX_CMD_IN, c->in, MIN(c->in_size, MLX_CMD_INLINE));
    mlx_set(entry, cmd_entry_output_mailbox_pointer, chain(&s->out, NULL, c->out_size, s->token));
    mlx_set(entry, cmd_entry_output_length, c->out_size);
    mlx_set(entry, cmd_entry_token, s->token);
    mlx_set(entry, cmd_entry_ownership, 1);
    mlx_set(entry, cmd_entry_signature, mlx_signature(entry, sizeof(entry)));
    memcpy(s->entry, entry, sizeof(entry));
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    lock_acquire(&m->base.lock);
    m->cmdq.sent++;
    mlx_reg_write(m->bar, mlx_offset(iseg_command_doorbell_vector), 1u << s->number);
    lock_release(&m->base.lock);
}

static bool is_ours(const struct mlx_slot *s)
{
    return !(__atomic_load_n(s->entry + MLX_CMD_ENTRY_SIZE - 1, __ATOMIC_ACQUIRE) & 1);
}

static u64 limit_of(const struct command *c)
{
    switch (opcode_of(c)) {
    case MLX_INIT_HCA:
    case MLX_TEARDOWN_HCA:
    case MLX_ENABLE_HCA:
    case MLX_DISABLE_HCA:
    case MLX_MANAGE_PAGES: return LIMIT_LONG;
    default: return LIMIT;
    }
}

static enum err await_answer(struct mlx *m, struct mlx_slot *s, const struct command *c,
                             struct why *why)
{
    u64 start = time_now(), waited = 0;

    for (; !is_ours(s); waited = time_now() - start) {
        if (m->state == MLX_DEAD)
            return why_set(why, E_IO, "%s: %s", m->name, m->failure.text);
        if (waited > limit_of(c)) {
            mlx_fail(m, "%s was not answered within %llu s", mlx_opcode_name(opcode_of(c)),
                     (unsigned long long)(limit_of(c) / SEC(1)));
            return why_set(why, E_TIMEOUT, "%s: %s", m->name, m->failure.text);
        }
        if (s->number != m->cmdq.slot[MLX_SLOT_PAGES].number) {
            mlx_eq_poll(m);
            mlx_pages_serve(m);
        }
        mlx_pause(waited);
    }
    return OK;
}

static void log_command(const struct mlx *m, const struct command *c, const char *result, u64 took)
{
    log_debug("%s: %s mod %u, %u bytes in, %u out, 0x%x 0x%x: %s 0x%x, %llu us", m->name,
              mlx_opcode_name(opcode_of(c)), (u32)mlx_get(c->in, in_op_mod), c->in_size,
              c->out_size, (u32)mlx_get(c->in, MLX_AT(8, 31, 0)),
              (u32)mlx_get(c->in, MLX_AT(0xc, 31, 0)), result,
              (u32)mlx_get(c->out, MLX_AT(8, 31, 0)), (unsigned long long)(took / USEC(1)));
}

static enum err take_answer(struct mlx *m, struct mlx_slot *s, const struct command *c, u64 took,
                            struct why *why)
{
    u32 delivery = (u32)mlx_get(s->entry, cmd_entry_status), status;
    const struct status *t;

    memset(c->out, 0, c->out_size);
    if (delivery) {
        log_command(m, c, delivery_name(delivery), took);
        return why_set(why, E_IO, "%s: %s was not taken: %s (delivery status 0x%x)", m->name,
                       mlx_opcode_name(opcode_of(c)), delivery_name(delivery), delivery);
    }
    memcpy(c->out, s->entry + MLX_CMD_OUT, MIN(c->out_size, MLX_CMD_INLINE));
    unchain(&s->out, c->out, c->out_size);
    status = (u32)mlx_get(c->out, out_status);
    t = status_of(status);
    log_command(m, c, status ? t->name : "done", took);
    if (!status)
        return OK;
    return why_set(why, t->e, "%s: %s failed: %s (status 0x%x, syndrome 0x%x)", m->name,
                   mlx_opcode_name(opcode_of(c)), t->name, status,
                   (u32)mlx_get(c->out, out_syndrome));
}

/* Waits in line: one command is under way in a slot. */
static enum err take_slot(struct mlx *m, struct mlx_slot *s, struct why *why)
{
    u64 start = time_now();
    bool mine = false;

    while (!mine) {
        lock_acquire(&m->base.lock);
        mine = !s->busy;
        s->busy = true;
        lock_release(&m->base.lock);
        if (mine)
            break;
        if (time_now() - start > 2 * LIMIT_LONG)
            return why_set(why, E_TIMEOUT, "%s: other commands do not end", m->name);
        mlx_pause(time_now() - start);
    }
    return OK;
}

static void give_slot_back(struct mlx *m, struct mlx_slot *s)
{
    lock_acquire(&m->base.lock);
    s->busy = false;
    lock_release(&m->base.lock);
}

static enum err execute_once(struct mlx *m, struct mlx_slot *s, const struct command *c,
                             struct why *why)
{
    u64 start = time_now();
    enum err e;

    if (m->state == MLX_DEAD)
        return why_set(why, E_IO, "%s: %s", m->name, m->failure.text);
    hand_over(m, s, c);
    e = await_answer(m, s, c, why);
    if (!e)
        e = take_answer(m, s, c, time_now() - start, why);
    m->cmdq.failed += e != OK;
    return e;
}

/* Firmware that is busy with the same resource is asked again for a while; what it has no room for, it will not
 * have soon. */
static enum err execute(struct mlx *m, struct mlx_slot *s, const struct command *c, struct why *why)
{
    enum err e;

    if (blocks_of(c->in_size) > s->in_blocks || blocks_of(c->out_size) > s->out_blocks)
        return why_set(why, E_RANGE, "%s: %s is too long for a mailbox: %u and %u bytes", m->name,
                       mlx_opcode_name(opcode_of(c)), c->in_size, c->out_size);
    e = take_slot(m, s, why);
    if (e)
        return e;
    e = execute_once(m, s, c, why);
    for (u32 i = 0; i < BUSY_TRIES && e == E_AGAIN; i++) {
        thread_sleep(BUSY_WAIT);
        e = execute_once(m, s, c, why);
    }
    give_slot_back(m, s);
    return e;
}

enum err mlx_command(struct mlx *m, const void *in, u32 in_size, void *out, u32 out_size,
                     struct why *why)
{
    struct command c = {in, out, in_size, out_size};

    return execute(m, &m->cmdq.slot[MLX_SLOT_WORK], &c, why);
}

enum err mlx_command_pages(struct mlx *m, const void *in, u32 in_size, void *out, u32 out_size,
                           struct why *why)
{
    struct command c = {in, out, in_size, out_size};

    return execute(m, &m->cmdq.slot[MLX_SLOT_PAGES], &c, why);
}

enum err mlx_simple(struct mlx *m, enum mlx_opcode opcode, u32 op_mod, u32 value, u32 *number,
                    struct why *why)
{
    bool is_short = opcode == MLX_ENABLE_HCA || opcode == MLX_DISABLE_HCA;
    u8 in[16] = {0}, out[16] = {0};
    enum err e;

    mlx_set(in, in_opcode, opcode);
    mlx_set(in, in_op_mod, op_mod);
    mlx_set(in, MLX_AT(0x8, 31, 0), value);
    e = mlx_command(m, in, sizeof(in), out, is_short ? 12 : 16, why);
    if (!e && number)
        *number = (u32)mlx_get(out, object_number);
    return e;
}

/* --- the queue (manual, initialization segment) -------------------------------------------------------------- */

static enum err make_slot(struct mlx *m, u32 which, u32 number, u32 in_blocks, u32 out_blocks)
{
    struct mlx_slot *s = &m->cmdq.slot[which];

    s->number = number;
    s->entry = m->cmdq.queue.p + (number << m->cmdq.log_stride);
    s->in_blocks = in_blocks;
    s->out_blocks = out_blocks;
    if (mlx_memory_take(&s->in, in_blocks * MLX_MAILBOX_ALIGN))
        return E_NOMEM;
    return mlx_memory_take(&s->out, out_blocks * MLX_MAILBOX_ALIGN);
}

static enum err make_queue(struct mlx *m, struct why *why)
{
    struct mlx_cmdq *q = &m->cmdq;
    u32 last = (1u << q->log_size) - 1;

    if (!mlx_memory_take(&q->queue, PAGE_SIZE) &&
        !make_slot(m, MLX_SLOT_WORK, 0, MLX_IN_BLOCKS, MLX_OUT_BLOCKS) &&
        !make_slot(m, MLX_SLOT_PAGES, last, PAGE_BLOCKS, PAGE_BLOCKS))
        return OK;
    mlx_cmdq_stop(m);
    return why_set(why, E_NOMEM, "%s: no memory for its command queue: 300 KiB are needed",
                   m->name);
}

static void tell_address(struct mlx *m)
{
    u64 at = m->cmdq.queue.at.v;

    lock_acquire(&m->base.lock);
    mlx_reg_write(m->bar, mlx_offset(iseg_cmdq_phy_addr_63_32), (u32)(at >> 32));
    mlx_reg_write(m->bar, mlx_offset(iseg_cmdq_phy_addr_31_12), (u32)at); /* nic_interface: full */
    lock_release(&m->base.lock);
}

enum err mlx_cmdq_start(struct mlx *m, struct why *why)
{
    struct mlx_cmdq *q = &m->cmdq;
    enum err e;

    if (!mlx_await(m, iseg_initializing, 0, POWER_LIMIT))
        return why_set(why, E_TIMEOUT, "%s: its firmware does not start within 120 s", m->name);
    if (mlx_iseg(m, iseg_cmd_interface_rev) != MLX_CMD_INTERFACE_REV)
        return why_set(why, E_UNSUPPORTED,
                       "%s: its command interface has revision %u; the driver knows %u", m->name,
                       mlx_iseg(m, iseg_cmd_interface_rev), MLX_CMD_INTERFACE_REV);
    q->log_size = mlx_iseg(m, iseg_log_cmdq_size);
    q->log_stride = mlx_iseg(m, iseg_log_cmdq_stride);
    if (!q->log_size || q->log_size > 5 || q->log_stride < 6 || q->log_size + q->log_stride > 12)
        return why_set(why, E_FORMAT,
                       "%s: a command queue of 2^%u entries of 2^%u bytes makes no sense", m->name,
                       q->log_size, q->log_stride);
    e = make_queue(m, why);
    if (e)
        return e;
    tell_address(m);
    if (mlx_await(m, iseg_initializing, 0, INIT_LIMIT))
        return OK;
    mlx_silence(m); /* it knows where the queue is */
    mlx_cmdq_stop(m);
    return why_set(why, E_TIMEOUT, "%s: it does not take its command queue within 10 s", m->name);
}

/* Only when the card has been disabled. */
void mlx_cmdq_stop(struct mlx *m)
{
    for (u32 i = 0; i < MLX_SLOTS; i++) {
        mlx_memory_give_back(&m->cmdq.slot[i].in);
        mlx_memory_give_back(&m->cmdq.slot[i].out);
        m->cmdq.slot[i].busy = false;
    }
    mlx_memory_give_back(&m->cmdq.queue);
}
