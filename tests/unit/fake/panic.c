/* SPDX-License-Identifier: BSD-2-Clause */
/* panic() on the build host: ends the process; where a test expects it, a child process. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "fake.h"
#include "kernel/panic.h"
#include "kernel/string.h"

#define STATUS_MISSING 77

static int panic_pipe[2] = {-1, -1};
static pid_t child;

void panic(const char *format, ...)
{
    char text[256];
    va_list args;

    va_start(args, format);
    str_vformat(text, sizeof(text), format, args);
    va_end(args);
    if (panic_pipe[1] < 0) {
        fprintf(stderr, "panic: %s\n", text);
        abort();
    }
    if (write(panic_pipe[1], text, strlen(text) + 1) < 0)
        _exit(1);
    _exit(0);
}

bool fake_panic_fork(void)
{
    fflush(NULL);
    if (pipe(panic_pipe) || (child = fork()) < 0) {
        perror("fork");
        abort();
    }
    return child == 0;
}

void fake_panic_missing(void)
{
    _exit(STATUS_MISSING);
}

bool fake_panic_said(const char *words)
{
    char text[256] = "";
    int status;

    close(panic_pipe[1]);
    if (read(panic_pipe[0], text, sizeof(text) - 1) < 0)
        text[0] = '\0';
    close(panic_pipe[0]);
    panic_pipe[0] = panic_pipe[1] = -1;
    waitpid(child, &status, 0);
    return WIFEXITED(status) && !WEXITSTATUS(status) && strstr(text, words);
}
