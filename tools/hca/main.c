/* SPDX-License-Identifier: BSD-2-Clause */
/* The HCA model's process: makes the sockets, starts QEMU with them, and turns around what happens on them. */
#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "tools/hca/hca.h"

static const char usage[] =
    "hca: a model of a ConnectX-5 (15b3:1017), for stock QEMU.\n"
    "    hca [OPTION...] -- qemu-system-x86_64 ...\n"
    "starts QEMU with the card attached. QEMU's memory must be shared, and one CPU alone may use "
    "the card:\n"
    "    hca --wire /tmp/a,/tmp/b -- qemu-system-x86_64 -machine q35,memory-backend=ram -m 512 \\\n"
    "        -object memory-backend-memfd,id=ram,size=512M,share=on ...\n"
    "Options:\n"
    "  --mac MAC              of the port (52:54:00:11:22:33)\n"
    "  --port-type eth|ib     (eth); on InfiniBand, --lid N (1) is the port's\n"
    "  --wire LOCAL,REMOTE    unix datagram sockets that carry its frames, as -netdev dgram\n"
    "  --link-down            the link is down, until port-up\n"
    "  --no-umr               without the capability to change keys by work queue elements\n"
    "  --boot-pages N, --init-pages N   that firmware asks for (8, 600)\n"
    "  --log FILE             (standard error)\n"
    "  --log-level N          0: refusals; 1: (default) states too; 2: each command decoded; 3: "
    "data path too\n"
    "  --control PATH         a unix datagram socket that takes faults at run time\n"
    "  --fault NAME[=VALUE][@N]   at the N-th command, or at once:\n";

#define LID_MOST   0xbfff /* of unicast */
#define PAGES_MOST (1u << 20)
#define LOG_MOST   3

struct program {
    struct hca hca;
    struct hca_options options;
    const char *wire, *control;
    FILE *log;
    char *faults[16];
    u32 fault_count;
    bool link_down;
};

static u64 now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (u64)t.tv_sec * 1000000000ull + (u64)t.tv_nsec;
}

static void die(const char *what, const char *about)
{
    fprintf(stderr, "hca: %s: %s\n", what, about);
    exit(2);
}

/* --- options ---------------------------------------------------------------------------------------------- */

static void parse_mac(u8 mac[6], const char *text)
{
    unsigned m[6];
    char end;

    if (sscanf(text, "%x:%x:%x:%x:%x:%x%c", &m[0], &m[1], &m[2], &m[3], &m[4], &m[5], &end) != 6)
        die("not a MAC", text);
    for (u32 i = 0; i < 6; i++) {
        if (m[i] > 0xff)
            die("not a MAC", text);
        mac[i] = (u8)m[i];
    }
}

static u32 parse_number(const char *option, const char *text, u32 least, u32 most)
{
    char *end;
    unsigned long n = strtoul(text, &end, 0);

    if (!*text || *end || n < least || n > most) {
        fprintf(stderr, "hca: --%s takes a number from %u to %u, not %s\n", option, least, most,
                text);
        exit(2);
    }
    return (u32)n;
}

enum {
    MAC = 256,
    PORT_TYPE,
    LID,
    WIRE,
    LINK_DOWN,
    NO_UMR,
    BOOT,
    INIT,
    LOG,
    LEVEL,
    CONTROL,
    FAULT,
    HELP
};
static const struct option known[] = {
    {"mac", 1, NULL, MAC},
    {"port-type", 1, NULL, PORT_TYPE},
    {"lid", 1, NULL, LID},
    {"wire", 1, NULL, WIRE},
    {"link-down", 0, NULL, LINK_DOWN},
    {"no-umr", 0, NULL, NO_UMR},
    {"boot-pages", 1, NULL, BOOT},
    {"init-pages", 1, NULL, INIT},
    {"log", 1, NULL, LOG},
    {"log-level", 1, NULL, LEVEL},
    {"control", 1, NULL, CONTROL},
    {"fault", 1, NULL, FAULT},
    {"help", 0, NULL, HELP},
    {NULL, 0, NULL, 0},
};

static void help(void)
{
    fputs(usage, stdout);
    fault_help(stdout);
    exit(0);
}

static void take_port_type(struct program *p, const char *text)
{
    if (strcmp(text, "eth") != 0 && strcmp(text, "ib") != 0)
        die("--port-type is eth or ib, not", text);
    p->options.port_type = strcmp(text, "ib") ? MLX_PORT_ETHERNET : MLX_PORT_IB;
}

static void take_option(struct program *p, int option, char *text)
{
    switch (option) {
    case MAC: parse_mac(p->options.mac, text); break;
    case PORT_TYPE: take_port_type(p, text); break;
    case LID: p->options.lid = (u16)parse_number("lid", text, 1, LID_MOST); break;
    case WIRE: p->wire = text; break;
    case LINK_DOWN: p->link_down = true; break;
    case NO_UMR: p->options.umr = false; break;
    case BOOT: p->options.boot_pages = parse_number("boot-pages", text, 0, PAGES_MOST); break;
    case INIT: p->options.init_pages = parse_number("init-pages", text, 0, PAGES_MOST); break;
    case LEVEL: p->options.level = (int)parse_number("log-level", text, 0, LOG_MOST); break;
    case CONTROL: p->control = text; break;
    case HELP: help(); break;
    case LOG:
        p->log = fopen(text, "w");
        if (!p->log)
            die("cannot write the log", text);
        break;
    case FAULT:
        if (p->fault_count == COUNT_OF(p->faults))
            die("too many faults", text);
        p->faults[p->fault_count++] = text;
        break;
    default: exit(2);
    }
}

/* InfiniBand's frames come to the MAC that its LID has on the wire. */
static void set_lid_mac(struct program *p)
{
    if (p->options.port_type != MLX_PORT_IB || !p->wire)
        return;
    memset(p->options.mac, 0, 6);
    p->options.mac[0] = 2;
    p->options.mac[4] = (u8)(p->options.lid >> 8);
    p->options.mac[5] = (u8)p->options.lid;
}

/* --- sockets ------------------------------------------------------------------------------------------------- */

static int listen_to(const char *path)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    struct stat old;

    snprintf(a.sun_path, sizeof(a.sun_path), "%s", path);
    if (!stat(path, &old) && S_ISSOCK(old.st_mode)) /* of an earlier run */
        unlink(path);
    if (bind(fd, (void *)&a, sizeof(a)))
        die("--control: no socket can be made there", strerror(errno));
    return fd;
}

static void make_pair(int *ours, int *theirs)
{
    int fd[2];

    if (socketpair(AF_UNIX, SOCK_STREAM, 0, fd))
        die("socketpair", strerror(errno));
    *ours = fd[0];
    *theirs = fd[1];
}

/* QEMU's command with the card's arguments behind it. */
static void exec_qemu(char **command, int count, int proxy, int qtest)
{
    char device[64], chardev[64];
    char *more[] = {"-device",       device,       "-chardev", chardev, "-qtest",
                    "chardev:qtest", "-qtest-log", "none",     NULL};
    char **all = calloc((size_t)count + COUNT_OF(more), sizeof(char *));

    snprintf(device, sizeof(device), "x-pci-proxy-dev,id=hca,fd=%d", proxy);
    snprintf(chardev, sizeof(chardev), "socket,id=qtest,fd=%d", qtest);
    memcpy(all, command, (size_t)count * sizeof(char *));
    memcpy(all + count, more, sizeof(more));
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    execvp(all[0], all);
    die(all[0], strerror(errno));
}

static pid_t start_qemu(struct hca *h, char **command, int count)
{
    int proxy, qtest;
    pid_t pid;

    make_pair(&h->proxy_fd, &proxy);
    make_pair(&h->qtest_fd, &qtest);
    pid = fork();
    if (pid < 0)
        die("fork", strerror(errno));
    if (!pid) {
        close(h->proxy_fd);
        close(h->qtest_fd);
        exec_qemu(command, count, proxy, qtest);
    }
    close(proxy);
    close(qtest);
    return pid;
}

/* --- turns ----------------------------------------------------------------------------------------------------- */

static void take_control(struct hca *h)
{
    char text[128];
    ssize_t n = recv(h->control_fd, text, sizeof(text) - 1, MSG_DONTWAIT);

    if (n <= 0)
        return;
    text[n] = 0;
    text[strcspn(text, "\n")] = 0;
    if (!fault_add(h, text))
        hca_log(h, LOG_REFUSED, "control: %s is no fault", text);
}

static void drop_answers(struct hca *h)
{
    char answers[4096];

    (void)!recv(h->qtest_fd, answers, sizeof(answers), MSG_DONTWAIT);
}

static int wait_ms(struct hca *h, bool more)
{
    u64 t = h->now(), at = engine_deadline(h);

    if (more || at <= t)
        return 0;
    return (int)MIN((at - t + 999999) / 1000000, 1000ull);
}

static void loop(struct hca *h)
{
    bool more = false;

    for (;;) {
        struct pollfd p[] = {{h->proxy_fd, POLLIN, 0},
                             {h->qtest_fd, POLLIN, 0},
                             {h->wire.fd, (short)(POLLIN | (h->wire.waiting ? POLLOUT : 0)), 0},
                             {h->control_fd, POLLIN, 0}};

        if (poll(p, COUNT_OF(p), wait_ms(h, more)) < 0 && errno != EINTR)
            die("poll", strerror(errno));
        if (p[1].revents & POLLIN)
            drop_answers(h);
        if (p[3].revents & POLLIN)
            take_control(h);
        if (p[0].revents && !proxy_serve(h))
            return;
        wire_retry(h);
        more = hca_run(h);
    }
}

static void start(struct program *p)
{
    struct hca *h = &p->hca;

    hca_init(h, &p->options, p->log ? p->log : stderr, now);
    h->port_up = !p->link_down;
    if (p->wire && !wire_open(h, p->wire))
        die("--wire takes LOCAL,REMOTE, and REMOTE must be there; not", p->wire);
    if (p->control)
        h->control_fd = listen_to(p->control);
    for (u32 i = 0; i < p->fault_count; i++)
        if (!fault_add(h, p->faults[i]))
            die("no such fault (--help lists them)", p->faults[i]);
}

int main(int argc, char **argv)
{
    static struct program p = {.options = {.mac = {0x52, 0x54, 0x00, 0x11, 0x22, 0x33},
                                           .port_type = MLX_PORT_ETHERNET,
                                           .lid = 1,
                                           .boot_pages = 8,
                                           .init_pages = 600,
                                           .umr = true,
                                           .level = LOG_INFO}};
    int option, status = 0;
    pid_t qemu;

    while ((option = getopt_long(argc, argv, "+", known, NULL)) != -1)
        take_option(&p, option, optarg);
    if (optind == argc)
        die("no QEMU command after --", "hca --help says how");
    set_lid_mac(&p);
    start(&p);
    qemu = start_qemu(&p.hca, argv + optind, argc - optind);
    loop(&p.hca);
    waitpid(qemu, &status, 0);
    hca_free(&p.hca);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}
