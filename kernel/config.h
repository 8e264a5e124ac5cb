/* SPDX-License-Identifier: BSD-2-Clause */
/* ferry.cfg: what this host is called and which VMs it has. Plain text, one `key value` a line;
 * `vm NAME` begins a VM, to which the keys below it belong. docs/ferry.cfg.md describes every key.
 *
 * The loader parses it to learn which files to read; the kernel parses it again for everything
 * else. A wrong line is reported by its number and skipped; parsing never stops. */
#pragma once
#include "kernel/err.h"

#define CONFIG_MAX_VMS     16
#define CONFIG_MAX_MODULES 4
#define CONFIG_MAX_FILES   48
#define CONFIG_NAME        32
#define CONFIG_PATH        64
#define CONFIG_CMDLINE     512
#define CONFIG_MAX_PEERS   8
#define CONFIG_MAX_SECRETS 16
#define CONFIG_KEY         32 /* bytes */

/* What the hosts of a cluster have in common for a trust group. */
struct config_secret {
    char group[CONFIG_NAME];
    u8 key[CONFIG_KEY];
};

struct config_vm {
    char name[CONFIG_NAME];
    char group
        [CONFIG_NAME]; /* trust group: it shares pages with VMs of the same one; empty: alone */
    u64 memory;        /* bytes */
    u32 vcpus;
    bool autostart;
    u32 line; /* where it begins */
    char kernel[CONFIG_PATH];
    char initrd[CONFIG_PATH];
    char module[CONFIG_MAX_MODULES][CONFIG_PATH + CONFIG_CMDLINE]; /* path, then its arguments */
    u32 module_count;
    char cmdline[CONFIG_CMDLINE];
};

/* Another host that VMs may move to and from. */
struct config_peer {
    char name[CONFIG_NAME];
    u8 address[4]; /* IPv4, network order */
    u8 key[CONFIG_KEY];
    u32 line; /* where it stands */
};

struct config {
    char host[CONFIG_NAME];
    u8 address[4]; /* IPv4, network order; 0.0.0.0: none */
    u8 prefix;     /* length of the network prefix */
    u32 console_baud;
    u16 console_port;     /* I/O port of the serial line */
    u32 rdma_timeout;     /* ms that one try of a packet waits for its answer */
    u8 rdma_retries;      /* tries after the first */
    bool fabric_isolated; /* nobody but the hosts can reach the network that RDMA runs over */
    u32 peer_count;
    struct config_peer peer[CONFIG_MAX_PEERS];
    u32 file_count;
    char file[CONFIG_MAX_FILES][CONFIG_PATH]; /* to load for VMs that are made in the shell */
    char default_group[CONFIG_NAME];          /* of VMs that name none; empty: each is alone */
    u32 secret_count;
    struct config_secret secret[CONFIG_MAX_SECRETS];
    u32 vm_count;
    struct config_vm vm[CONFIG_MAX_VMS];
};

/* Fills c with defaults, then with what the text says. Calls `wrong` for each line that is not
 * understood, with what was expected; wrong may be NULL. Returns the number of wrong lines. */
unsigned config_parse(struct config *c, const char *text, size_t size,
                      void (*wrong)(void *ctx, unsigned line, const char *what), void *ctx);

/* Do both make the same machine? Where a line stands, and whether it starts by itself, is no part of it. */
bool config_same_vm(const struct config_vm *a, const struct config_vm *b);
/* The path of a module, without the arguments behind it. */
void config_module_path(const char *module, char path[CONFIG_PATH]);
