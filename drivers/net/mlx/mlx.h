/* SPDX-License-Identifier: BSD-2-Clause */
/* One card of the mlx5 family, between the files of its driver. Sections named in comments are those of the public
 * "Ethernet Adapters Programming Manual"; fields and opcodes have the names of Linux's mlx5_ifc.h (mlx_layout.h).
 *
 *     cmd.c               the command queue
 *     bringup.c caps.c port.c pages.c   from any state to a port that is active, as a table of steps
 *     eq.c health.c       what the card tells by itself
 *     object.c umr.c      what is made in it, and its end; memory keys by work
 *     device*.c           the verbs device (device.h)
 *     card.c show.c       PCI, the card's thread, the list of cards; `rdma info`, `rdma reset`
 *
 * One lock guards a card: its verbs device's. It is held for every access to registers and for what is marked "locked";
 * commands wait without it. All may run on any CPU. */
#pragma once
#include "drivers/net/mlx/cq.h"
#include "drivers/pci.h"
#include "kernel/thread.h"

/* --- registers --------------------------------------------------------------------------------------- */

/* On the build host a test has them. */
#ifdef FERRY_HOST
u32 mlx_reg_read(const u8 *bar, u32 offset);
void mlx_reg_write(u8 *bar, u32 offset, u32 value);
void mlx_relax(void);
#else
static inline void mlx_relax(void)
{
    arch_relax();
}
static inline u32 mlx_reg_read(const u8 *bar, u32 offset)
{
    return __builtin_bswap32(*(const volatile u32 *)(const void *)(bar + offset));
}
static inline void mlx_reg_write(u8 *bar, u32 offset, u32 value)
{
    *(volatile u32 *)(void *)(bar + offset) = __builtin_bswap32(value);
}
#endif

/* --- memory that the card sees ------------------------------------------------------------------------- */

/* A piece in one block of frames, zeroed; order 0 is 4 KiB. */
struct mlx_memory {
    hpa_t at;
    u8 *p;
    u32 order;
};
enum err mlx_memory_take(struct mlx_memory *mem, u64 size) MUST_CHECK;
void mlx_memory_give_back(struct mlx_memory *mem); /* the card has forgotten it; NULL is harmless */

/* --- what a card can --------------------------------------------------------------------------------- */

struct mlx_caps {
    u8 log_max_qp, log_max_qp_sz, log_max_cq, log_max_cq_sz, log_max_mkey, log_max_pd;
    u8 log_max_msg, log_max_ra_req_qp, log_max_ra_res_qp, cqe_version;
    u16 max_wqe_sz_sq, max_wqe_sz_rq; /* bytes */
    u16 sport_least, sport_most;      /* UDP source ports, where the driver chooses them */
    bool atomic, sw_udp_sport;
    bool port_numbers; /* addresses name a port (num_vhca_ports) */
    bool umr_no_entity_size, umr_no_atomic;
};

/* --- commands ----------------------------------------------------------------------------------------- */

/* Blocks of a mailbox chain: input, output. */
#define MLX_IN_BLOCKS  256u
#define MLX_OUT_BLOCKS 16u
/* Bytes of the longest input. */
#define MLX_IN_MOST (MLX_CMD_INLINE + MLX_IN_BLOCKS * MLX_MAILBOX_DATA)

struct mlx_slot {
    u8 *entry;
    u32 number;
    struct mlx_memory in, out;
    u32 in_blocks, out_blocks;
    u8 token;
    bool busy; /* locked */
};

enum { MLX_SLOT_WORK, MLX_SLOT_PAGES, MLX_SLOTS };

struct mlx_cmdq {
    struct mlx_memory queue;
    u32 log_size, log_stride;
    struct mlx_slot slot[MLX_SLOTS];
    u64 sent, failed; /* commands */
};

/* --- pages of firmware ---------------------------------------------------------------------------------- */

struct mlx_pages {
    u64 *list; /* 0: was taken back */
    u32 used, room, count;
    u32 hint;   /* the last that came back was there */
    s32 wanted; /* by events; locked */
};

/* --- objects --------------------------------------------------------------------------------------------- */

/* In the order in which they end: users before what they use. */
enum mlx_kind { MLX_KIND_QP, MLX_KIND_MKEY, MLX_KIND_CQ, MLX_KIND_PD, MLX_KINDS };

struct mlx_object {
    struct list all, end;
    u8 kind;
    bool busy;      /* a command that somebody waits for names it */
    u32 number;     /* in the card */
    u32 generation; /* of the bring-up that it was made in; 0: it is gone there */
    struct verbs_done *done;
};

/* --- keys by UMR ------------------------------------------------------------------------------------------ */

#define MLX_UMR_PAGES 512u  /* of a region that goes this way: what migration leases at once */
#define MLX_UMR_KEYS  4096u /* that are made, before one is used again at once */

struct mlx_umr_wait {
    bool posted, over;
    u64 since; /* it was posted */
    enum wc_status status;
};

struct mlx_key {
    struct list line;
    u32 index, generation;
    u8 byte; /* the low byte of the key, as it is now */
    struct mlx_memory list;
};

struct mlx_umr_queue {
    struct verbs_cq *cq;
    struct verbs_qp *qp; /* NULL: regions are made by commands */
    struct list keys;    /* free, in line */
    u32 spare, made;
    u32 lost; /* with a card that failed */
    bool failed;
};

/* --- a card ---------------------------------------------------------------------------------------------- */

enum mlx_state {
    MLX_DOWN, /* nothing of ours is in it */
    MLX_UP,
    MLX_DEAD, /* it failed, and does nothing any more */
};

struct mlx_model;
struct mlx {
    struct verbs_device base; /* its lock is the card's */
    struct mlx *next;
    struct pci_device *pci;
    const struct mlx_model *model;
    u8 *bar;
    enum mlx_state state;
    struct why failure; /* why it is not up */
    u32 steps;          /* of the bring-up that stand */
    u64 commands_up;    /* that it took to come up */
    char name[8];

    struct mlx_cmdq cmdq;
    struct mlx_pages pages;
    struct mlx_caps caps;
    u8 *in, *out; /* for long commands of the bring-up */

    u32 uar; /* number; its page is bar + uar * 4096 */
    u32 pd;  /* the driver's own */
    u32 eqn;
    u32 resd_lkey; /* names the host's memory by its physical addresses */
    struct mlx_memory eq;
    u32 eq_consumer;

    u8 mac[6];
    u32 ip; /* host order; 0: none */
    char board[MLX_ADAPTER_PSID_SIZE + 1];
    u16 fw[3];
    u32 mtu;   /* of the port, bytes of Ethernet's payload */
    u32 speed; /* Gbit/s; 0: unknown */
    bool link;

    /* What events have left for the card's thread. */
    bool port_event, look_at_health;
    u32 broken_cq,
        broken_how;  /* a completion queue in error and its syndrome, where that is not 0 */
    u64 events[256]; /* by type */

    struct mlx_qps qps;
    struct mlx_umr_queue umr;
    struct list objects[MLX_KINDS];
    u32 counts[MLX_KINDS];
    u32 making;         /* objects that are being made now */
    struct list ending; /* objects that the card's thread has to end */
    struct list done;   /* struct verbs_done, to be told */
    u32 generation;     /* how often it was brought up */
    u8 key_byte;
    bool silent; /* it is dead, and touches no memory */

    u32 health_counter, health_misses;
    u64 health_next; /* ns */
    struct thread *thread;
    bool leaving, idle;
    bool reset_wanted;
    struct why reset_why; /* empty: it was done */
};

static inline struct mlx *mlx_of(struct verbs_device *device)
{
    return CONTAINER_OF(device, struct mlx, base);
}
static inline u8 *mlx_uar(const struct mlx *m)
{
    return m->bar + m->uar * MLX_UAR_SIZE;
}

/* cmd.c */

/* Sends one and waits until the card has answered; without the lock, it takes it. The input begins with opcode and op_mod.
 * Page requests are served meanwhile. Bounded: E_TIMEOUT takes the card down (mlx_fail). A refusal is E_IO, E_NOMEM where
 * the card lacks what is asked for, E_AGAIN where it stayed busy; why says which status, in words. */
enum err mlx_command(struct mlx *m, const void *in, u32 in_size, void *out, u32 out_size,
                     struct why *why) MUST_CHECK;
/* One of 16 bytes each way with a number at 8; number (may be NULL) is what comes back there. */
enum err mlx_simple(struct mlx *m, enum mlx_opcode opcode, u32 op_mod, u32 value, u32 *number,
                    struct why *why) MUST_CHECK;
/* In the slot that is kept for them, which waits for no other. */
enum err mlx_command_pages(struct mlx *m, const void *in, u32 in_size, void *out, u32 out_size,
                           struct why *why) MUST_CHECK;
const char *mlx_opcode_name(u32 opcode);
enum err mlx_cmdq_start(struct mlx *m, struct why *why) MUST_CHECK;
void mlx_cmdq_stop(struct mlx *m);
/* Within a wait that has lasted so long: soon again, later, or much later. */
void mlx_pause(u64 waited_ns);
/* Waits for a field of the initialization segment; false: not within that time. */
bool mlx_await(struct mlx *m, u32 field, u32 value, u64 limit);
u32 mlx_iseg(struct mlx *m, u32 field);

/* pages.c */
enum err mlx_pages_for(struct mlx *m, u32 when,
                       struct why *why) MUST_CHECK; /* MLX_PAGES_BOOT ... */
/* Does what events have asked for. */
void mlx_pages_serve(struct mlx *m);
/* Until none is left there. */
void mlx_pages_take_all(struct mlx *m);
/* The card does no more: they are ours whatever it says. */
void mlx_pages_forget(struct mlx *m);

/* caps.c, port.c */
enum err mlx_caps_set(struct mlx *m, struct why *why) MUST_CHECK;  /* before INIT_HCA */
enum err mlx_caps_read(struct mlx *m, struct why *why) MUST_CHECK; /* and after it */
enum err mlx_port_enable(struct mlx *m, struct why *why) MUST_CHECK;
void mlx_port_disable(struct mlx *m);
enum err mlx_address_set(struct mlx *m, struct why *why) MUST_CHECK;
void mlx_address_clear(struct mlx *m);
/* Reads link, speed and MTU. */
enum err mlx_port_look(struct mlx *m, struct why *why) MUST_CHECK;

/* bringup.c */
/* From whatever state to a port that is administratively up; E_* leaves the card as MLX_DOWN. */
enum err mlx_bring_up(struct mlx *m, struct why *why) MUST_CHECK;
/* All of it back, in the opposite order; every page is ours afterwards. */
void mlx_take_down(struct mlx *m);
/* Whatever the card does, it stops: it reads and writes no memory afterwards. */
void mlx_silence(struct mlx *m);

/* eq.c */
enum err mlx_eq_create(struct mlx *m, struct why *why) MUST_CHECK;
void mlx_eq_destroy(struct mlx *m);
/* Takes what events there are. */
void mlx_eq_poll(struct mlx *m);

/* health.c */
/* Looks at what the card says of itself; true: it is well. */
bool mlx_health(struct mlx *m);
const char *mlx_syndrome_name(u32 syndrome);
/* It is not to be used any more; what it was doing ends with errors. The card's thread does the rest. */
void mlx_fail(struct mlx *m, const char *format, ...) PRINTF_LIKE(2, 3);

/* object.c; locked */
void mlx_object_add(struct mlx *m, struct mlx_object *o, enum mlx_kind kind, u32 number);
bool mlx_object_is_there(const struct mlx *m, const struct mlx_object *o);
/* The card's thread ends it and frees it; done (may be NULL) is told then. */
void mlx_object_end(struct mlx *m, struct mlx_object *o, struct verbs_done *done);
/* Not locked: the card's thread. */
void mlx_objects_end(struct mlx *m);
/* A step of the bring-up, and its undoing: nothing is left in the card. */
enum err mlx_objects_begin(struct mlx *m, struct why *why) MUST_CHECK;
void mlx_objects_destroy(struct mlx *m);

/* device.c */
void mlx_device_init(struct mlx *m);
void mlx_device_limits(struct mlx *m);
void mlx_object_free(struct mlx *m, struct mlx_object *o);
/* Does somebody want to be told of completions? Locked. */
bool mlx_is_awaited(struct mlx *m);
const char *mlx_refusal(struct mlx *m); /* of a completion, or NULL; locked */

/* device_qp.c: a completion queue and a queue pair of the driver's own, for UMR, in RTS; locked. */
enum err mlx_own_pair(struct mlx *m, u32 slots, struct verbs_cq **cq, struct verbs_qp **qp,
                      struct why *why) MUST_CHECK;
void mlx_own_pair_end(struct mlx *m, struct verbs_cq *cq, struct verbs_qp *qp);
/* device_mr.c. Of a region: posts its invalidation, if that is how it ends; is it over, as far as work says? Locked. */
void mlx_region_begin_end(struct mlx *m, struct mlx_object *o);
bool mlx_region_ends_by_work(const struct mlx_object *o, bool *over);
/* Of one that does: has the card forgotten it? */
bool mlx_region_is_late(const struct mlx_object *o);

/* umr.c; locked but for begin, poll, destroy_keys, end */
enum err mlx_umr_begin(struct mlx *m, struct why *why) MUST_CHECK;
bool mlx_umr_fits(const struct mlx *m, u32 pages, u32 access);
/* Makes a key of the line that region's; gives the lock up while it waits. */
enum err mlx_umr_register(struct mlx *m, const struct verbs_mr_init *init, u32 pd,
                          struct mlx_key **key, struct why *why) MUST_CHECK;
/* Posts it, once and where there is room; w is then over when nobody can use the key any more. */
void mlx_umr_invalidate(struct mlx *m, const struct mlx_key *k, struct mlx_umr_wait *w);
/* Was it posted so long ago that the card has forgotten it? */
bool mlx_umr_is_late(const struct mlx_umr_wait *w);
void mlx_key_give_back(struct mlx *m, struct mlx_key *k);
void mlx_umr_poll(struct mlx *m);
void mlx_umr_destroy_keys(struct mlx *m);
void mlx_umr_end(struct mlx *m);

/* show.c */
void mlx_show(struct mlx *m); /* rows for the shell */

/* card.c */
struct mlx *mlx_cards(void);
const char *mlx_model_name(const struct mlx *m);
/* The verbs device of the first card whose port is active, or NULL. */
struct verbs_device *mlx_host(void);
