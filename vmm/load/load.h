/* SPDX-License-Identifier: BSD-2-Clause */
/* What the loaders write through, and small writes that they share. Called by the thread that starts
 * a VM, before any vCPU runs. */
#pragma once
#include "kernel/hvm.h"

struct load_memory {
    /* Writes guest RAM or the ROM area; E_RANGE where there is neither, E_NOMEM. */
    enum err (*write)(void *ctx, gpa_t to, const void *from, size_t size);
    void *ctx;
    u64 size; /* of RAM, in bytes, a multiple of 4 KiB */
};

/* A file in host memory. */
struct load_file {
    const u8 *data;
    size_t size;
};

/* Zeros [from, to). */
enum err load_zero(const struct load_memory *m, u64 from, u64 to) MUST_CHECK;
/* Writes text with its terminating zero. */
enum err load_text(const struct load_memory *m, u64 to, const char *text) MUST_CHECK;
/* Passes an error of a write on, with a sentence about what was being written. OK stays OK. */
enum err load_explain(enum err e, const char *what, struct why *why) MUST_CHECK;

/* The vCPU as it is at reset, but for what a boot protocol sets: flat data segments (DS, ES, SS) and
 * code, protected mode without paging, interrupts off. `code_attr` is CS's (struct hvm_segment). */
void load_flat_state(struct hvm_state *s, u16 code, u16 data, u32 code_attr);
/* Where the GDT that goes with it is written; each protocol has selectors of its own. */
#define LOAD_GDT 0x500ull
