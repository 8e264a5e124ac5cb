/* SPDX-License-Identifier: BSD-2-Clause */
/* Memory for insn_execute in the tests: an array, with a log of what was asked of it, and answers to
 * order. The order of reads and writes is checked on the way. */
#pragma once
#include "unit.h"
#include <string.h>
#include "vmm/insn.h"

#define DATA_SIZE 0x4000

static u8 model[DATA_SIZE];

struct bus_log {
    u64 base; /* linear address of model[0] */
    unsigned reads, writes, probes;
    enum insn_status read_status, write_status, probe_status;
    u8 vector;
};

static u8 *model_at(struct bus_log *log, gva_t at, unsigned size)
{
    u64 offset = at.v - log->base;

    assert_true(offset <= DATA_SIZE - size);
    return model + offset;
}

static enum insn_status bus_probe(void *ctx, gva_t at, unsigned size)
{
    struct bus_log *log = ctx;

    assert_int_equal(log->reads, 0);
    model_at(log, at, size);
    log->probes++;
    return log->probe_status;
}

static enum insn_status bus_read(void *ctx, gva_t at, unsigned size, u64 *value)
{
    struct bus_log *log = ctx;

    assert_int_equal(log->writes, 0); /* all operands before any side effect */
    log->reads++;
    *value = 0;
    if (log->read_status == INSN_DONE)
        memcpy(value, model_at(log, at, size), size);
    return log->read_status;
}

static enum insn_status bus_write(void *ctx, gva_t at, unsigned size, u64 value)
{
    struct bus_log *log = ctx;

    log->writes++;
    assert_int_equal(log->writes, 1);
    if (log->write_status == INSN_DONE)
        memcpy(model_at(log, at, size), &value, size);
    return log->write_status;
}

static void bus_raise(void *ctx, u8 vector, u32 code)
{
    struct bus_log *log = ctx;

    assert_int_equal(code, 0);
    log->vector = vector;
}

static struct insn_bus bus_over(struct bus_log *log)
{
    return (struct insn_bus){
        .ctx = log, .probe = bus_probe, .read = bus_read, .write = bus_write, .raise = bus_raise};
}

static struct hvm_mode mode64(void)
{
    struct hvm_mode m = {.cr0 = CR0_PE | CR0_PG, .cr4 = CR4_PAE, .efer = EFER_LME | EFER_LMA};

    for (unsigned s = 0; s < SEG_COUNT; s++)
        m.seg[s] = (struct hvm_segment){.limit = ~0u, .attr = 0xc093};
    m.seg[SEG_CS].attr = 0xa09b;
    return m;
}
