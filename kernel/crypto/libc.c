/* SPDX-License-Identifier: BSD-2-Clause */
/* What Debian's build of BearSSL asks of a C library beyond the compiler's own functions: it was compiled with
 * _FORTIFY_SOURCE and with stack canaries, which it finds at %fs:28h (struct cpu). */
#include "kernel/panic.h"
#include "kernel/string.h"

void *__memcpy_chk(void *to, const void *from, size_t size, size_t room);
void *__memset_chk(void *to, int byte, size_t size, size_t room);
NORETURN void __stack_chk_fail(void);

void *__memcpy_chk(void *to, const void *from, size_t size, size_t room)
{
    if (size > room)
        panic("a library copies %zu bytes to where there is room for %zu", size, room);
    return memcpy(to, from, size);
}

void *__memset_chk(void *to, int byte, size_t size, size_t room)
{
    if (size > room)
        panic("a library sets %zu bytes where there is room for %zu", size, room);
    return memset(to, byte, size);
}

NORETURN void __stack_chk_fail(void)
{
    panic("a library's stack is overwritten");
}
