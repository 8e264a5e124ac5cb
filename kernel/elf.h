/* SPDX-License-Identifier: BSD-2-Clause */
/* The parts of ELF that loaders and the symboliser read (System V ABI, "Object Files"). */
#pragma once
#include "kernel/types.h"

#define ELF_MAGIC          0x464c457fu /* "\177ELF" as a little-endian word */
#define ELF_CLASS_32       1
#define ELF_CLASS_64       2
#define ELF_MACHINE_386    3
#define ELF_MACHINE_X86_64 62
#define ELF_PT_LOAD        1
#define ELF_SHT_SYMTAB     2
#define ELF_STT_FUNC       2

struct elf64_header {
    u32 magic;
    u8 class, data, version, abi;
    u8 padding[8];
    u16 type, machine;
    u32 file_version;
    u64 entry, phoff, shoff;
    u32 flags;
    u16 ehsize, phentsize, phnum, shentsize, shnum, shstrndx;
};
ASSERT_SIZE(struct elf64_header, 64);

struct elf64_phdr {
    u32 type, flags;
    u64 offset, vaddr, paddr, filesz, memsz, align;
};
ASSERT_SIZE(struct elf64_phdr, 56);

struct elf64_shdr {
    u32 name, type;
    u64 flags, addr, offset, size;
    u32 link, info;
    u64 addralign, entsize;
};
ASSERT_SIZE(struct elf64_shdr, 64);

struct elf64_sym {
    u32 name;
    u8 info, other;
    u16 shndx;
    u64 value, size;
};
ASSERT_SIZE(struct elf64_sym, 24);
