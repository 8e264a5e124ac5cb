/* SPDX-License-Identifier: BSD-2-Clause */
/* Execution: the same instruction is carried out by insn_execute and by the CPU itself (64-bit
 * mode), with the same registers, flags and memory, and both must end alike. */
#include <stdio.h>
#include <sys/mman.h>
#undef PROT_READ /* kernel/ptab.h has its own, with the same values */
#undef PROT_WRITE
#undef PROT_EXEC
#include "insn_model.h" /* what insn_execute sees in place of native->data */

/* One mapping below 2 GiB, so that 32-bit addresses and RIP-relative ones reach all of it:
 *     code page | state page | data */
struct native {
    u8 code[4096];
    struct {
        u64 gpr[REG_COUNT];
        u64 rflags;
        u64 host_rsp;
    } state;
    u8 pad[4096 - 18 * 8];
    u8 data[DATA_SIZE];
};
ASSERT_OFFSET(struct native, data, 8192);

static struct native *native;
static u64 seed = 0x2545f4914f6cdd1dull;

static u64 random64(void)
{
    seed ^= seed >> 12;
    seed ^= seed << 25;
    seed ^= seed >> 27;
    return seed * 0x2545f4914f6cdd1dull;
}

static u64 random_below(u64 limit)
{
    return (random64() >> 20) % limit;
}

/* Values near the edges find wrong flags sooner. */
static u64 random_value(void)
{
    static const u64 edges[] = {0,
                                1,
                                0x7f,
                                0x80,
                                0xff,
                                0x7fff,
                                0x8000,
                                0xffff,
                                0x7fffffff,
                                0x80000000,
                                0xffffffff,
                                0x7fffffffffffffff,
                                0x8000000000000000,
                                U64_MAX};

    return random64() >> 63 ? random64() : edges[random_below(COUNT_OF(edges))];
}

/* --- the trampoline ------------------------------------------------------------------------ */

static u8 *emit(u8 *at, const void *bytes, unsigned size)
{
    memcpy(at, bytes, size);
    return at + size;
}

/* An instruction with a RIP-relative operand in the state page. */
static u8 *emit_state(u8 *at, const char *opcode, unsigned size, const void *target)
{
    s32 displacement;

    at = emit(at, opcode, size);
    displacement = (s32)((const u8 *)target - (at + 4));
    return emit(at, &displacement, 4);
}

static u8 *emit_mov(u8 *at, bool load, u8 reg, const u64 *slot)
{
    char opcode[3] = {(char)(0x48 | (reg >= 8 ? 4 : 0)), (char)(load ? 0x8b : 0x89),
                      (char)(5 | (reg & 7) << 3)};

    return emit_state(at, opcode, 3, slot);
}

static u8 *emit_entry(u8 *at)
{
    at = emit(at, "\x53\x55\x41\x54\x41\x55\x41\x56\x41\x57", 10);
    at = emit_mov(at, false, REG_RSP, &native->state.host_rsp);
    at = emit_state(at, "\xff\x35", 2, &native->state.rflags); /* push */
    at = emit(at, "\x9d", 1);                                  /* popfq */
    for (u8 r = 0; r < REG_COUNT; r++)
        at = emit_mov(at, true, r, &native->state.gpr[r]);
    return at;
}

static u8 *emit_exit(u8 *at)
{
    for (u8 r = 0; r < REG_COUNT; r++)
        at = emit_mov(at, false, r, &native->state.gpr[r]);
    at = emit_mov(at, true, REG_RSP, &native->state.host_rsp);
    at = emit(at, "\x9c", 1);                                  /* pushfq */
    at = emit_state(at, "\x8f\x05", 2, &native->state.rflags); /* pop */
    at = emit(at, "\xfc\x41\x5f\x41\x5e\x41\x5d\x41\x5c\x5d\x5b\xc3", 12);
    return at;
}

/* Puts the instruction between entry and exit; returns its address. */
static u64 assemble(const u8 *bytes, unsigned length)
{
    u8 *at = emit_entry(native->code), *insn = at;

    emit_exit(emit(at, bytes, length));
    return (u64)(uintptr_t)insn;
}

__attribute__((no_sanitize("address", "undefined"))) static void run_native(void)
{
    void (*code)(void) = (void (*)(void))(uintptr_t)native->code;

    code();
}

/* --- random instructions ------------------------------------------------------------------- */

static const u8 opcodes1[] = {0x63, 0x80, 0x81, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88, 0x89,
                              0x8a, 0x8b, 0x8f, 0xa0, 0xa1, 0xa2, 0xa3, 0xa4, 0xa5, 0xaa,
                              0xab, 0xac, 0xad, 0xc6, 0xc7, 0xf6, 0xf7, 0xfe, 0xff, 0xff};
static const u8 opcodes2[] = {0x1f, 0xa3, 0xab, 0xb0, 0xb1, 0xb3, 0xb6, 0xb7,
                              0xba, 0xba, 0xbb, 0xbe, 0xbf, 0xc0, 0xc1, 0xc3};

static void make_bytes(u8 bytes[INSN_MAX_LENGTH])
{
    static const u8 prefixes[] = {0x66, 0x67, 0xf0, 0xf2, 0xf3, 0x2e, 0x66};
    unsigned n = 0;

    for (unsigned b = 0; b < INSN_MAX_LENGTH; b++)
        bytes[b] = (u8)(random64() >> 40);
    while (random_below(3) == 0 && n < 4)
        bytes[n++] = prefixes[random_below(COUNT_OF(prefixes))];
    if (random_below(2))
        bytes[n++] = (u8)(0x40 | random64() >> 60);
    switch (random_below(4)) {
    case 0: bytes[n] = (u8)((random64() >> 40 & 0x38) | random_below(4)); break;
    case 1:
        bytes[n++] = 0x0f;
        bytes[n] = opcodes2[random_below(COUNT_OF(opcodes2))];
        break;
    default: bytes[n] = opcodes1[random_below(COUNT_OF(opcodes1))]; break;
    }
}

static bool is_bit_in_register(const struct insn *i)
{
    return i->form == INSN_FORM_RM_REG && i->op >= INSN_BT && i->op <= INSN_BTC;
}

static void place_stack(const struct insn *i)
{
    if (i->form == INSN_FORM_PUSH || i->form == INSN_FORM_POP)
        native->state.gpr[REG_RSP] = (u64)(uintptr_t)native->data + DATA_SIZE / 4;
}

static void place_strings(const struct insn *i)
{
    u64 data = (u64)(uintptr_t)native->data;

    native->state.gpr[REG_RSI] = data + DATA_SIZE / 2 + random_below(256);
    native->state.gpr[REG_RDI] = data + DATA_SIZE / 2 + random_below(256);
    if (i->rep)
        native->state.gpr[REG_RCX] = random_below(20);
}

/* An operand without registers: its displacement is found by trying where it goes. */
static bool place_displacement(struct insn *i, u8 *bytes, s64 disp)
{
    struct insn want = *i, got;
    u8 trial[INSN_MAX_LENGTH];

    want.mem.disp = disp;
    for (unsigned width = 8; width >= 4; width -= 4)
        for (unsigned k = 1; k + width <= i->length; k++) {
            memcpy(trial, bytes, sizeof(trial));
            memcpy(trial + k, &disp, width);
            if (insn_decode(&got, trial, i->length, INSN_64) != INSN_DECODED ||
                memcmp(&got, &want, sizeof(got)) != 0)
                continue;
            memcpy(bytes, trial, sizeof(trial));
            *i = want;
            return true;
        }
    return false;
}

/* Chooses registers or the displacement so that the operand lies in the data; false where that
 * cannot be done. */
static bool place_operand(struct insn *i, u8 *bytes, u64 rip)
{
    u64 target = (u64)(uintptr_t)native->data + DATA_SIZE / 2 + random_below(64);
    const struct insn_mem *m = &i->mem;
    u64 *gpr = native->state.gpr, rest = target - (u64)m->disp;

    if (m->base == INSN_NO_REG && m->index == INSN_NO_REG)
        return place_displacement(i, bytes, (s64)(m->rip ? target - (rip + i->length) : target));
    if (m->base == m->index)
        gpr[m->base] = rest / (1u + m->scale);
    else if (m->base == INSN_NO_REG)
        gpr[m->index] = rest / m->scale;
    else if (m->index == INSN_NO_REG)
        gpr[m->base] = rest;
    else
        gpr[m->base] = rest - gpr[m->index] * m->scale;
    return m->disp < (s64)target;
}

static bool in_data(u64 address, unsigned margin)
{
    u64 offset = address - (u64)(uintptr_t)native->data;

    return offset >= margin && offset < DATA_SIZE - margin;
}

/* Makes up registers, flags and memory under which the instruction may run here. */
static bool make_state(struct insn *i, u8 *bytes)
{
    u64 rip = assemble(bytes, i->length);
    u64 *gpr = native->state.gpr;

    for (unsigned r = 0; r < REG_COUNT; r++)
        gpr[r] = random_value();
    for (unsigned n = 0; n < DATA_SIZE; n += random_below(512)) /* the rest is from before */
        memcpy(native->data + (n & ~7u), &(u64){random_value()}, 8);
    for (unsigned n = DATA_SIZE / 2; n < DATA_SIZE / 2 + 80; n += 8)
        memcpy(native->data + n, &(u64){random_value()}, 8);
    native->state.rflags =
        RFLAGS_FIXED | (random64() & (RFLAGS_CF | RFLAGS_PF | RFLAGS_AF | RFLAGS_ZF | RFLAGS_SF |
                                      RFLAGS_DF | RFLAGS_OF));
    if (is_bit_in_register(i))
        gpr[i->reg] = random_below(16384) - 8192;
    place_stack(i);
    if (i->form == INSN_FORM_STRING) {
        place_strings(i);
        return i->mem.segment < SEG_FS;
    }
    if (i->memory && i->form != INSN_FORM_NOP) {
        if (i->mem.segment >= SEG_FS || !place_operand(i, bytes, rip))
            return false;
        assemble(bytes, i->length);
        if (!in_data(insn_effective(i, gpr, rip), 2048))
            return false;
        if (is_bit_in_register(i) && gpr[i->reg] + 8192 > 16384)
            return false;
    }
    if (i->form == INSN_FORM_PUSH || i->form == INSN_FORM_POP)
        return in_data(gpr[REG_RSP], 64);
    return true;
}

static u64 defined_flags(const struct insn *i)
{
    u64 all = RFLAGS_CF | RFLAGS_PF | RFLAGS_AF | RFLAGS_ZF | RFLAGS_SF | RFLAGS_DF | RFLAGS_OF;

    if (i->op >= INSN_BT && i->op <= INSN_BTC)
        return RFLAGS_CF | RFLAGS_ZF | RFLAGS_DF;
    if (i->op == INSN_AND || i->op == INSN_OR || i->op == INSN_XOR || i->op == INSN_TEST)
        return all & ~RFLAGS_AF;
    return all;
}

static void show(const char *what, const u8 *bytes, unsigned length)
{
    printf("%s:", what);
    for (unsigned n = 0; n < length; n++)
        printf(" %02x", bytes[n]);
    printf("\n");
}

static void compare_run(const struct insn *i, const u8 *bytes, u64 rip)
{
    struct bus_log log = {.base = (u64)(uintptr_t)native->data};
    struct insn_bus bus = bus_over(&log);
    struct hvm_mode m = mode64();
    u64 gpr[REG_COUNT], at = rip, rflags = native->state.rflags;
    enum insn_status s;

    memcpy(gpr, native->state.gpr, sizeof(gpr));
    memcpy(model, native->data, DATA_SIZE);
    do {
        log.reads = log.writes = log.probes = 0;
        s = insn_execute(i, &bus, &m, gpr, &at, &rflags);
    } while (s == INSN_AGAIN && at == rip);
    run_native();
    if (s != INSN_DONE || at != rip + i->length || memcmp(gpr, native->state.gpr, sizeof(gpr)) ||
        memcmp(model, native->data, DATA_SIZE) ||
        ((rflags ^ native->state.rflags) & defined_flags(i))) {
        show("differs from the CPU", bytes, i->length);
        printf("status %d, flags %llx, the CPU's %llx\n", s, (unsigned long long)rflags,
               (unsigned long long)native->state.rflags);
        for (unsigned r = 0; r < REG_COUNT; r++)
            printf("%2u: %016llx %016llx\n", r, (unsigned long long)gpr[r],
                   (unsigned long long)native->state.gpr[r]);
        fail();
    }
}

static void execution_agrees_with_the_cpu(void **state)
{
    unsigned count[INSN_OP_COUNT] = {0}, memory = 0;

    (void)state;
    for (unsigned n = 0; n < 300000; n++) {
        u8 bytes[INSN_MAX_LENGTH];
        struct insn i;

        make_bytes(bytes);
        if (insn_decode(&i, bytes, sizeof(bytes), INSN_64) != INSN_DECODED ||
            i.form == INSN_FORM_OTHER || i.form == INSN_FORM_CR ||
            (i.op == INSN_CMPXCHG && !i.memory) || !make_state(&i, bytes))
            continue;
        compare_run(&i, bytes, assemble(bytes, i.length));
        count[i.op]++;
        memory += i.memory;
    }
    for (unsigned op = 0; op <= INSN_NOP; op++)
        assert_true(count[op] > 100);
    printf("%u with memory operands\n", memory);
}

static int map_native(void **state)
{
    (void)state;
    native = mmap(NULL, sizeof(*native), PROT_READ | PROT_WRITE | PROT_EXEC,
                  MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
    return native == MAP_FAILED ? -1 : 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(execution_agrees_with_the_cpu),
    };

    return cmocka_run_group_tests(tests, map_native, NULL);
}
