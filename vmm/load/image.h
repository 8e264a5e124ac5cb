/* SPDX-License-Identifier: BSD-2-Clause */
/* Tells by its first bytes what a guest's kernel file is. */
#pragma once
#include "vmm/load/load.h"

enum image_kind {
    IMAGE_NONE, /* nothing that Ferry starts: why says what it looks like */
    IMAGE_LINUX,
    IMAGE_MULTIBOOT
};

enum image_kind image_find_kind(const struct load_file *file, struct why *why);
