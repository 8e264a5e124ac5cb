/* SPDX-License-Identifier: BSD-2-Clause */
/* Preloaded into QEMU by the rig: cpu_clear_ignne() returns at once.
 *
 * In QEMU every vCPU thread that loads x87 state (FXRSTOR, XRSTOR, FRSTOR, FLDENV) calls it, and it clears a bit of
 * CPU 0's hflags2 (target/i386/tcg/sysemu/fpu_helper.c): a read, an AND and a write, without a lock. CPU 0's own thread
 * keeps its SVM state in the same word, so its change of NPT, GIF or VINTR may be undone: a host then runs a guest
 * without nested paging, or itself behind a guest's, or takes no interrupts. The bit is IGNNE#'s, which nothing sets
 * here: that needs a write to port F0h and CR0.NE = 0.
 *
 * In a program that is not QEMU it does nothing; a QEMU without the function ends with status 3 and a sentence. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define RET 0xc3

static _Noreturn void refuse(const char *what)
{
    fprintf(stderr, "qemu_ignne: %s: %s\n", program_invocation_short_name, what);
    _exit(3);
}

__attribute__((constructor)) static void repair(void)
{
    long page = sysconf(_SC_PAGESIZE);
    uint8_t *at;
    void *start;

    if (strncmp(program_invocation_short_name, "qemu-system-", 12) != 0)
        return;
    at = dlsym(RTLD_DEFAULT, "cpu_clear_ignne");
    if (!at)
        refuse("it has no function cpu_clear_ignne, so it is not one that this object repairs");
    start = (void *)((uintptr_t)at & ~(uintptr_t)(page - 1));
    if (mprotect(start, (size_t)page, PROT_READ | PROT_WRITE | PROT_EXEC))
        refuse("its code cannot be made writable");
    *at = RET;
    if (mprotect(start, (size_t)page, PROT_READ | PROT_EXEC))
        refuse("its code cannot be protected again");
}
