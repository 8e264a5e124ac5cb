/* SPDX-License-Identifier: BSD-2-Clause */
/* The ACPI tables of a VM, from GUEST_ROM_BASE on:
 *
 *     RSDP -> XSDT -> FADT (hardware-reduced: sleep and reset registers of vmm/layout.h) -> DSDT
 *                 \-> MADT (one local APIC a vCPU, the IOAPIC, PIT on pin 2)
 *
 * The DSDT is dsdt.asl, compiled when Ferry is built. */
#pragma once
#include "vmm/load/load.h"

/* E_RANGE: more than VM_MAX_VCPUS; or what m->write returns. Says so in why. */
enum err acpi_load(const struct load_memory *m, unsigned vcpus, struct why *why) MUST_CHECK;
