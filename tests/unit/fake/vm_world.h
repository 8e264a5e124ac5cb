/* SPDX-License-Identifier: BSD-2-Clause */
/* A VM without a hypervisor below: its vCPUs are plain memory, its devices are the real ones. For save and load. */
#pragma once
#include "vmm/vm.h"

#define WORLD_VCPUS 3

struct vm_world {
    struct vm vm;
    struct hvm_state cpu[WORLD_VCPUS]; /* what the fake CPU has in its registers */
    u8 fpu[WORLD_VCPUS][832];
};

/* As vm_create_incoming leaves it, but in that state. */
void vm_world_make(struct vm_world *w, enum vm_state state);
/* Gives every vCPU and device a state of its own, as guests may bring them into. */
void vm_world_use(struct vm_world *w);
