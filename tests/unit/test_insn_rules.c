/* SPDX-License-Identifier: BSD-2-Clause */
/* The rules of execution that the CPU cannot show us in 64-bit user mode: faults, the REP forms, and
 * 16- and 32-bit code. */
#include "insn_model.h"

struct machine {
    struct hvm_mode mode;
    u64 gpr[REG_COUNT];
    u64 rip, rflags;
    struct bus_log log;
};

static enum insn_status run(struct machine *c, const char *code, unsigned length)
{
    struct insn_bus bus = bus_over(&c->log);
    struct insn i;

    c->log.reads = c->log.writes = c->log.probes = 0;
    assert_int_equal(insn_decode(&i, (const u8 *)code, length, insn_mode(&c->mode, c->rflags)),
                     INSN_DECODED);
    assert_int_equal(i.length, length);
    return insn_execute(&i, &bus, &c->mode, c->gpr, &c->rip, &c->rflags);
}

#define RUN(machine, code) run(machine, code, sizeof(code) - 1)

static struct machine machine64(void)
{
    struct machine c = {.mode = mode64(), .rip = 0x1000, .rflags = RFLAGS_FIXED | RFLAGS_RF};

    memset(model, 0, sizeof(model));
    return c;
}

static struct machine machine16(u32 limit)
{
    struct machine c = {.rip = 0xfffe, .rflags = RFLAGS_FIXED};

    memset(model, 0, sizeof(model));
    for (unsigned s = 0; s < SEG_COUNT; s++)
        c.mode.seg[s] = (struct hvm_segment){.limit = limit, .attr = 0x93};
    return c;
}

static void a_faulting_access_changes_nothing(void **state)
{
    struct machine c = machine64(), before;

    (void)state;
    c.gpr[REG_RAX] = 5;
    c.gpr[REG_RSP] = 64;
    before = c;
    c.log.read_status = INSN_FAULT;
    assert_int_equal(RUN(&c, "\x8b\x03"), INSN_FAULT); /* mov eax, [rbx] */
    c.log.probe_status = INSN_STOP;
    assert_int_equal(RUN(&c, "\x01\x03"), INSN_STOP); /* add [rbx], eax */
    assert_int_equal(c.log.reads, 0);
    c.log.probe_status = c.log.read_status = INSN_DONE;
    c.log.write_status = INSN_FAULT;
    assert_int_equal(RUN(&c, "\x01\x03"), INSN_FAULT);
    assert_int_equal(RUN(&c, "\x87\x03"), INSN_FAULT); /* xchg */
    assert_int_equal(RUN(&c, "\xff\x33"), INSN_FAULT); /* push [rbx] */
    assert_int_equal(RUN(&c, "\xf3\xa4"), INSN_DONE);  /* rep movsb of nothing */
    c.gpr[REG_RCX] = before.gpr[REG_RCX] = 3;
    c.rip = before.rip;
    assert_int_equal(RUN(&c, "\xf3\xa4"), INSN_FAULT);
    assert_memory_equal(c.gpr, before.gpr, sizeof(c.gpr));
    assert_int_equal(c.rip, before.rip);
}

static void a_destination_that_faults_is_found_before_the_device_is_read(void **state)
{
    struct machine c = machine64();

    (void)state;
    c.gpr[REG_RSP] = 64;
    c.log.probe_status = INSN_FAULT;
    assert_int_equal(RUN(&c, "\xa5"), INSN_FAULT);     /* movsd */
    assert_int_equal(RUN(&c, "\xff\x33"), INSN_FAULT); /* push [rbx] */
    assert_int_equal(RUN(&c, "\x8f\x03"), INSN_FAULT); /* pop [rbx] */
    assert_int_equal(RUN(&c, "\x0f\xb1\x03"), INSN_FAULT);
    assert_int_equal(c.log.reads + c.log.writes, 0);
}

static void a_rep_form_does_one_iteration_a_call(void **state)
{
    struct machine c = machine64();

    (void)state;
    c.gpr[REG_RCX] = 3;
    c.gpr[REG_RAX] = 0x41;
    c.gpr[REG_RDI] = 16;
    assert_int_equal(RUN(&c, "\xf3\xaa"), INSN_AGAIN);
    assert_int_equal(c.rip, 0x1000);
    assert_int_equal(c.gpr[REG_RCX], 2);
    assert_int_equal(RUN(&c, "\xf3\xaa"), INSN_AGAIN);
    assert_true(c.rflags & RFLAGS_RF);
    assert_int_equal(RUN(&c, "\xf3\xaa"), INSN_DONE);
    assert_int_equal(c.rip, 0x1002);
    assert_int_equal(c.gpr[REG_RDI], 19);
    assert_false(c.rflags & RFLAGS_RF);
    assert_memory_equal(model + 15, "\0AAA\0", 5);
}

static void addresses_that_are_not_canonical_fault(void **state)
{
    struct machine c = machine64();

    (void)state;
    c.gpr[REG_RBX] = c.gpr[REG_RSP] = 0x00007ffffffffffd;
    assert_int_equal(RUN(&c, "\x8b\x03"), INSN_FAULT);
    assert_int_equal(c.log.vector, VEC_GP);
    assert_int_equal(RUN(&c, "\x8b\x04\x24"), INSN_FAULT); /* mov eax, [rsp] */
    assert_int_equal(c.log.vector, VEC_SS);
}

static void segment_limits_and_rights_hold(void **state)
{
    struct machine c = machine16(0xffff);

    (void)state;
    c.gpr[REG_RBX] = 0x1fff;
    c.mode.seg[SEG_DS].base = 0x100;
    c.mode.seg[SEG_DS].limit = 0x2000;
    assert_int_equal(RUN(&c, "\x8b\x07"), INSN_DONE); /* mov ax, [bx] */
    assert_int_equal(c.rip, 0x10000);
    c.gpr[REG_RBX] = 0x2000;
    assert_int_equal(RUN(&c, "\x8b\x07"), INSN_FAULT);
    c.mode.cr0 = CR0_PE;
    c.gpr[REG_RBX] = 0;
    c.mode.seg[SEG_DS].attr = 0x91; /* read only */
    assert_int_equal(RUN(&c, "\x8b\x07"), INSN_DONE);
    assert_int_equal(RUN(&c, "\x89\x07"), INSN_FAULT);
    c.mode.seg[SEG_DS].attr = SEG_ATTR_UNUSABLE;
    assert_int_equal(RUN(&c, "\x8b\x07"), INSN_FAULT);
    c.mode.seg[SEG_DS].attr = 0x97; /* expands down: above the limit only */
    assert_int_equal(RUN(&c, "\x8b\x07"), INSN_FAULT);
    c.gpr[REG_RBX] = 0x2001;
    assert_int_equal(RUN(&c, "\x8b\x07"), INSN_DONE);
    c.mode.seg[SEG_CS].attr = 0x99; /* execute only */
    assert_int_equal(RUN(&c, "\x2e\x8b\x07"), INSN_FAULT);
}

static void sixteen_bit_addresses_wrap(void **state)
{
    struct machine c = machine16(0xffff);

    (void)state;
    c.gpr[REG_RBX] = 0xabcdfff0;
    c.gpr[REG_RSI] = 0x20;
    model[0x10] = 0x5a;
    assert_int_equal(RUN(&c, "\x8a\x00"), INSN_DONE); /* mov al, [bx+si] */
    assert_int_equal(c.gpr[REG_RAX], 0x5a);
}

static void a_sixteen_bit_push_keeps_the_upper_half(void **state)
{
    struct machine c = machine16(0xffff);

    (void)state;
    model[0x30] = 0x34;
    c.gpr[REG_RBX] = 0x30;
    c.gpr[REG_RSP] = 0xabcd0102;
    assert_int_equal(RUN(&c, "\xff\x37"), INSN_DONE);
    assert_int_equal(c.gpr[REG_RSP], 0xabcd0100);
    assert_int_equal(model[0x100], 0x34);
}

static void control_registers_are_not_for_execute(void **state)
{
    struct machine c = machine64();

    (void)state;
    assert_int_equal(RUN(&c, "\x44\x0f\x22\xc0"), INSN_REFUSED); /* mov cr8, rax */
    assert_int_equal(RUN(&c, "\x0f\xa2"), INSN_REFUSED);         /* cpuid */
    assert_int_equal(RUN(&c, "\x0f\xb1\xc3"), INSN_REFUSED);     /* cmpxchg ebx, eax */
}

static void the_mode_follows_the_registers(void **state)
{
    struct hvm_mode m = mode64();

    (void)state;
    assert_int_equal(insn_mode(&m, 0), INSN_64);
    m.seg[SEG_CS].attr = 0xc09b;
    assert_int_equal(insn_mode(&m, 0), INSN_32);
    m.efer = 0;
    assert_int_equal(insn_mode(&m, 0), INSN_32);
    assert_int_equal(insn_mode(&m, RFLAGS_VM), INSN_16);
    m.seg[SEG_CS].attr = 0x9b;
    assert_int_equal(insn_mode(&m, 0), INSN_16);
    m.cr0 = 0;
    assert_int_equal(insn_mode(&m, 0), INSN_16);
}

static void what_is_not_known_is_named_byte_by_byte(void **state)
{
    static const u8 fxsave[] = {0x0f, 0xae, 0x00};
    struct insn i;
    struct why why;

    (void)state;
    assert_int_equal(insn_decode(&i, fxsave, 3, INSN_64), INSN_UNKNOWN);
    assert_int_equal(insn_explain(&why, fxsave, 3, INSN_64), E_UNSUPPORTED);
    assert_non_null(strstr(why.text, " 0f ae 00 (64-bit code)"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_faulting_access_changes_nothing),
        cmocka_unit_test(a_destination_that_faults_is_found_before_the_device_is_read),
        cmocka_unit_test(a_rep_form_does_one_iteration_a_call),
        cmocka_unit_test(addresses_that_are_not_canonical_fault),
        cmocka_unit_test(segment_limits_and_rights_hold),
        cmocka_unit_test(sixteen_bit_addresses_wrap),
        cmocka_unit_test(a_sixteen_bit_push_keeps_the_upper_half),
        cmocka_unit_test(control_registers_are_not_for_execute),
        cmocka_unit_test(the_mode_follows_the_registers),
        cmocka_unit_test(what_is_not_known_is_named_byte_by_byte),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
