/* SPDX-License-Identifier: BSD-2-Clause */
/* What a CPU must forget before it enters a guest: decided here, for both backends, and carried out by them. Pure logic: the
 * unit tests run it over a model of a TLB.
 *
 * The owner of a second-level table raises its generation when it has taken rights away; a vCPU remembers up to which
 * generation its CPU has forgotten. For the thread that runs the vCPU, on its CPU. */
#pragma once
#include "kernel/hvm.h"

/* The vCPU comes to a CPU. True: it was on another one, or has just been made. What this CPU remembers of it, from when it
 * was here before, may be old, whatever generation the vCPU has reached elsewhere. Sets v->cpu. */
bool tlb_arrive(struct hvm_vcpu *v, u32 cpu);
/* The generation that is to be reached before the guest is entered, or 0: it is reached. */
u64 tlb_stale(const struct hvm_vcpu *v);
/* It is reached. */
void tlb_reached(struct hvm_vcpu *v, u64 generation);

/* --- where translations carry a number, the ASID (APM 2 15.16) --------------------------------------- */

/* Of one CPU. Numbers are given out in order; when none is left, all is flushed and a new generation of them begins. */
struct asid_pool {
    u64 generation; /* starts at 1 */
    u32 next;       /* starts at 1: 0 is the host's */
    u32 count;
};
/* Of one vCPU, good for the CPU that it was taken on; generation 0: for none. */
struct asid {
    u64 generation;
    u32 number;
};
enum asid_flush { ASID_KEEP, ASID_FLUSH_ONE, ASID_FLUSH_ALL };

/* Sees to it that the vCPU has a number, with which the CPU remembers nothing old once it has done what is returned. A
 * number that nobody has used since all was flushed needs no flush. */
enum asid_flush asid_prepare(struct asid_pool *pool, struct asid *asid, bool stale,
                             bool can_flush_one) MUST_CHECK;
