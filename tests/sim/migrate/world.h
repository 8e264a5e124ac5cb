/* SPDX-License-Identifier: BSD-2-Clause */
/* Hosts with agents, VMs with memory, and an oracle, in one process; from a seed that replays.
 *
 * A VM is a Pmap and a vCPU that reads and writes words through translations that it remembers, as a CPU with a TLB does.
 * Beside it stands what its memory must hold, byte for byte. After every event the rules of docs/design.md are checked. */
#pragma once
#include "fabric.h"
#include "migrate/agent.h"

#define WORLD_HOSTS 5 /* at most */
#define WORLD_VMS   8
#define VM_TLB      16
#define VM_NAME     16

/* What the world knows of a VM wherever it is. */
struct oracle {
    char name[VM_NAME];
    u8 *memory;
    u64 pages;
    u64 counter;     /* in its registers */
    bool lost;       /* said to be lost */
    bool owner_died; /* a host was killed that had it */
    /* A host was killed on which it ran. Who waits to hear whether it had gone on there, cannot know: it may run once more
     * from where it stopped last. */
    bool runner_died;
    u8 *stopped_memory;
    u64 stopped_counter;
    bool exists;
    bool unknown; /* a peer says what it holds, and may lie: nothing is compared */
};

struct vm {
    struct host *host;
    struct oracle *oracle;
    struct pmap pmap;
    struct {
        u64 index;
        u8 *at; /* NULL: free */
        bool writable, dirty;
    } tlb[VM_TLB];
    struct pmap_waiter waiter;
    bool running, stopped, loaded, claimed;
    bool held; /* its pages are not merged */
    u32 slow;
    u64 counter;
    char lost[AGENT_TEXT];
};

struct host {
    struct world *world;
    u32 number;
    char name[8];
    bool alive, woken;
    struct agent *agent;
    struct vm *vm[WORLD_VMS];
    u64 next; /* agent_poll is wanted */
    /* Bits of VMs that are to be started anew here, as at every boot; and that were allowed to: none of them may be elsewhere.
     * What they do then is not followed. */
    u32 wants, started;
    u64 wants_next;
};

struct datagram;
struct world {
    struct fabric *fabric;
    struct host host[WORLD_HOSTS];
    struct oracle oracle[WORLD_VMS];
    struct datagram *flying;
    u32 lose, twice; /* of 100 datagrams */
    u64 seed, events;
    u64 guest_every; /* ns between two accesses of a VM */
    u64 guest_next;
    u64 poll_takes;  /* ns, each time that an agent has its turn; at least 100 */
    u64 write_share; /* of 100 accesses */
    bool trace;
    bool no_collisions; /* two pages with the same hash are equal; else sometimes not */
    bool killed;        /* a host was: its frames are forgotten */
    u64 tick_at;        /* world_on_tick is wanted then, ns */
};

/* Of the machine that all hosts are on; bytes. */
extern u64 world_memory;
/* How many hosts world_create makes. */
extern u32 world_hosts;
void world_create(struct world *w, u64 seed);
void world_destroy(struct world *w);
/* A VM with so many pages of memory, running on that host. */
struct vm *world_vm(struct world *w, u32 host, const char *name, u64 pages);
struct vm *world_find(struct world *w, u32 host, const char *name);
/* What a host knows of another one. */
struct peer *world_peer(struct world *w, u32 host, u32 other);
/* Are all hosts alive, and all connected with each other? */
bool world_is_connected(struct world *w);
/* Is there memory at that page? */
bool world_is_ram(const struct vm *vm, u64 page);
/* Fills a page with a pattern; equal numbers make equal pages, 0 makes zeros. */
void world_fill(struct vm *vm, u64 page, u64 pattern);
/* The VM reads a page, or is about to write it, and finds what it wrote; false: the page is on its way. */
bool world_touch(struct vm *vm, u64 page, bool write);
/* Makes two equal pages of VMs on one host share a frame. */
bool world_merge(struct vm *a, u64 page_a, struct vm *b, u64 page_b);
/* All that are equal, within the first and between the two. */
void world_merge_equal(struct vm *one, struct vm *two);
/* One random access of a running VM: checked against the oracle. */
void world_access(struct vm *vm);
/* Lets time pass until done (may be NULL) or for so long; false: it took longer. */
bool world_run(struct world *w, bool (*done)(struct world *w), u64 ns);
void world_kill(struct world *w, u32 host);
/* All hosts are killed and booted anew, with all of the memory, and nothing is known of any VM. The heap must be empty. */
void world_restart(struct world *w);
void world_boot(struct world *w, u32 host);
/* Instead of agent_poll, to measure it; or NULL. */
extern u64 (*world_poll)(struct host *h);
/* All rules that hold at any moment. */
void world_check(struct world *w);
/* Every byte of a VM that is here. */
void world_check_memory(struct vm *vm);
/* Users of frames, records, and what is lent and borrowed agree; for a quiet moment. */
void world_check_quiet(struct world *w);
NORETURN void world_broken(const char *format, ...) PRINTF_LIKE(1, 2);
extern void (*world_on_event)(struct world *w);
extern void (*world_on_tick)(struct world *w);
/* Called before a run that broke a rule ends the process; says what was done to it. */
extern void (*world_on_break)(void);
