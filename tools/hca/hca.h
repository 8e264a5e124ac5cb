/* SPDX-License-Identifier: BSD-2-Clause */
/* Between the files of the HCA model: what a card is made of. One thread; nothing waits.
 *
 *     main.c proxy.c     QEMU's end: its requests, its memory, interrupts over its qtest socket
 *     pci.c bar.c        what the host sees of the function, and where each access goes
 *     cmd.c command.c    the command queue; the table of commands
 *     pages.c ... qp.c   one kind of object each
 *     wqe.c umr.c engine.c work: read from the queues, executed by the RC engine (drivers/net/roce)
 *
 * The model refuses what a card refuses, and what a card would let pass at the driver's peril: with the manual's
 * status, and a line in the log that names the field. Such lines begin with "refused". */
#pragma once
#include <stdio.h>
#include "drivers/net/mlx/mlx_layout.h"
#include "drivers/net/roce/rc.h"
#include "kernel/list.h"

#define HCA_BAR_SIZE     (16u << 20)
#define HCA_FIRST_UAR    0x10
#define HCA_MSIX_TABLE   0x8000
#define HCA_MSIX_PBA     0x9000
#define HCA_VECTORS      8
#define HCA_LOG_SLOTS    5 /* of the command queue */
#define HCA_LOG_STRIDE   6
#define HCA_GIDS         16
#define HCA_RANGES       8
#define HCA_MAX_WQE      1024u /* bytes */
#define HCA_LOG_QP_SZ    13
#define HCA_LOG_CQ_SZ    16
#define HCA_LOG_EQ_SZ    16
#define HCA_INITIALIZING 2 /* reads, after power-on and with a command queue */
#define HCA_LOG_RD       4 /* READs and atomics outstanding */
/* Keys that no command makes: their index is too large. Data that lies in the WQE; memory that is the driver's own. */
#define HCA_INLINE_LKEY 0xffffff01u
#define HCA_RESD_LKEY   0xfffffe00u
#define HCA_NULL_MKEY   0xfffffd00u
/* A PD's number that no command makes: of queue pairs for UMR, which have none. */
#define HCA_ANY_PD 0xffffffffu

struct hca;

/* --- layouts: layouts.c ----------------------------------------------------------------------------- */

struct field {
    const char *name;
    u32 at;
};
struct layout {
    const char *name;
    const struct field *fields;
    u32 count;
};
#define LAYOUTS(L)                                                                                 \
    L(in, MLX_IN)                                                                                  \
    L(object, MLX_OBJECT)                                                                          \
    L(function, MLX_FUNCTION)                                                                      \
    L(issi, MLX_ISSI)                                                                              \
    L(pages, MLX_PAGES)                                                                            \
    L(teardown, MLX_TEARDOWN)                                                                      \
    L(general_cap, MLX_GENERAL_CAP)                                                                \
    L(ethernet_cap, MLX_ETHERNET_CAP)                                                              \
    L(atomic_cap, MLX_ATOMIC_CAP)                                                                  \
    L(roce_cap, MLX_ROCE_CAP)                                                                      \
    L(flow_table_cap, MLX_FLOW_TABLE_CAP)                                                          \
    L(eqc, MLX_EQC)                                                                                \
    L(create_eq_in, MLX_CREATE_EQ_IN)                                                              \
    L(cqc, MLX_CQC)                                                                                \
    L(modify_cq_in, MLX_MODIFY_CQ_IN)                                                              \
    L(mkc, MLX_MKC)                                                                                \
    L(create_mkey_in, MLX_CREATE_MKEY_IN)                                                          \
    L(qpc, MLX_QPC_FIELDS)                                                                         \
    L(ads, MLX_ADS)                                                                                \
    L(ctrl, MLX_WQE_CTRL)                                                                          \
    L(umr, MLX_WQE_UMR_CTRL)                                                                       \
    L(nic_vport, MLX_NIC_VPORT)                                                                    \
    L(roce_address, MLX_ROCE_ADDRESS)                                                              \
    L(roce_address_in, MLX_ROCE_ADDRESS_IN)                                                        \
    L(vport_index, MLX_VPORT_INDEX)                                                                \
    L(access_reg, MLX_ACCESS_REG_IN)                                                               \
    L(pmtu, MLX_PMTU)                                                                              \
    L(paos, MLX_PAOS)                                                                              \
    L(cmd_entry, MLX_CMD_ENTRY)
#define LAYOUT_DECLARE(layout_name, list) extern const struct layout layout_##layout_name;
LAYOUTS(LAYOUT_DECLARE)

/* A layout, and where it lies in what is looked at. */
struct part {
    const struct layout *layout;
    u32 at;
};
/* The first 32-bit word of size bytes that has a bit which no part knows: its offset, and the bits; size: none has. */
u32 layout_reserved(const struct part *parts, u32 count, const void *bytes, u32 size, u32 *bits);
/* "log_eq_size=8 uar_page=0x10": the fields that are not zero. */
void layout_print(FILE *to, const struct part *part, const void *bytes);

/* --- log: log.c ------------------------------------------------------------------------------------- */

enum { LOG_REFUSED, LOG_INFO, LOG_COMMANDS, LOG_DATA };
void hca_log(struct hca *h, int level, const char *format, ...) PRINTF_LIKE(3, 4);
/* Counts it, logs it, and returns the status, so that a refusal is one line. The syndrome of the command under way
 * becomes a number that is this sentence's own. */
enum mlx_status hca_refuse(struct hca *h, enum mlx_status status, const char *format, ...)
    PRINTF_LIKE(3, 4);

/* --- memory of the host: memory.c --------------------------------------------------------------------- */

struct memory_range {
    u64 gpa, size;
    u8 *at;
    void *map;
    u64 map_size;
};
/* Where size bytes at gpa are, or NULL: not memory, or pages that the driver gave away. `what` is who wants it. */
u8 *hca_dma(struct hca *h, u64 gpa, u64 size, const char *what);

/* What a queue lies in: pages of a size of its own, and where in the first one it begins. */
struct buffer {
    u64 *pages;
    u32 count;
    u32 page_shift;
    u64 offset;
    u64 size;
};
/* From the page list of a command; page_offset is in 64ths of a page. */
enum mlx_status buffer_make(struct hca *h, struct buffer *b, const void *pas, u32 pas_count,
                            u32 log_page_size, u32 page_offset, u64 size, const char *what);
void buffer_free(struct buffer *b);
/* size bytes at an offset, which do not cross a page. */
u8 *buffer_at(struct hca *h, const struct buffer *b, u64 offset, u32 size, const char *what);
/* A doorbell record's word. 0 where it cannot be read. */
u32 hca_record(struct hca *h, u64 addr, const char *what);

/* --- objects: object.c -------------------------------------------------------------------------------- */

enum object_kind {
    OBJ_NONE,
    OBJ_PD,
    OBJ_TRANSPORT_DOMAIN,
    OBJ_UAR,
    OBJ_EQ,
    OBJ_CQ,
    OBJ_MKEY,
    OBJ_QP,
    OBJ_XRCD,
    OBJ_XRC_SRQ,
    OBJ_RMP,
    OBJ_Q_COUNTER,
    OBJ_TIS,
    OBJ_TIR,
    OBJ_RQ,
    OBJ_SQ,
    OBJ_RQT,
    OBJ_FLOW_TABLE,
    OBJ_FLOW_GROUP,
    OBJ_KINDS
};
struct object {
    u8 kind;
    u32 number;
    u32 uses;             /* objects that name this one */
    struct object *of[4]; /* that this one names */
};
/* object is the first member of what is allocated, and is freed with it. NULL: none is left. */
void *object_make(struct hca *h, enum object_kind kind, size_t size);
void *object_get(struct hca *h, enum object_kind kind, u32 number);
/* The same for a command: MLX_BAD_RES where there is none. */
enum mlx_status object_find(struct hca *h, enum object_kind kind, u32 number, void *object,
                            const char *field);
/* UARs are not named so: Linux ends them before what was rung there. */
void object_use(struct object *o, struct object *of);
/* MLX_BAD_RES_STATE while others name it. */
enum mlx_status object_may_end(struct hca *h, const struct object *o);
void object_end(struct hca *h, struct object *o);
const char *object_name(enum object_kind kind);
/* Calls fn for each object of a kind. */
void object_each(struct hca *h, enum object_kind kind, void (*fn)(struct hca *h, void *object));

struct object_table {
    struct object **slot;
    u32 next, count;
};

/* --- commands: cmd.c, command.c ------------------------------------------------------------------------- */

struct command;
struct command_row {
    u16 opcode;
    u8 when; /* enum hca_state: not before */
    const char *name;
    u32 in, out;          /* bytes */
    u8 in_more, out_more; /* unit of what may follow */
    u8 kind;              /* enum object_kind of generic commands */
    u32 number;           /* the field that has its number; 0: object_number */
    bool opaque; /* reserved bits are not looked at: Ethernet's, which is only kept count of */
    enum mlx_status (*run)(struct hca *h, struct command *c);
    struct part parts[4]; /* what the input has beside its header */
};
struct command {
    const struct command_row *row;
    u32 slot;
    u8 *in, *out;
    u32 in_size, out_size;
    u16 op_mod;
    u32 number; /* MLX_OBJECT's */
};
#define COMMAND_MOST (512u << 10) /* bytes of an input or output */

const struct command_row *command_find(u16 opcode);
/* Checks and runs one. out is zeroed; its status and syndrome are written. */
void command_run(struct hca *h, struct command *c);
u32 command_pas(const struct command *c); /* entries behind MLX_PAS */

/* A doorbell of the command queue came: entries with their bits set are read. */
void cmd_doorbell(struct hca *h, u32 vector);
/* Whether a command that waited was done. */
void cmd_resume(struct hca *h);

/* --- interrupts: msix.c ---------------------------------------------------------------------------------- */

struct msix {
    u32 table[HCA_VECTORS][4]; /* little-endian */
    u32 pending;
    bool enabled, masked;
};
void msix_raise(struct hca *h, u32 vector);
u32 msix_read(struct hca *h, u32 offset);
void msix_write(struct hca *h, u32 offset, u32 value);
void msix_control(struct hca *h, u16 control);
/* Sends what is pending and may be sent. */
void msix_flush(struct hca *h);

/* --- event queues, completion queues: eq.c, cq.c ----------------------------------------------------------- */

struct eq {
    struct object o;
    u8 context[64];
    struct buffer buffer;
    u64 mask;
    u32 log_size, vector;
    u32 producer, consumer;
    bool armed;
};
/* An event for every EQ that wants its kind; fill may be NULL. */
void eq_event(struct hca *h, enum mlx_event type, u8 sub_type, const u8 eqe[MLX_EQE_SIZE]);
bool eq_wants(struct hca *h, enum mlx_event type);
void eq_completion(struct hca *h, struct eq *eq, u32 cqn);
void eq_doorbell(struct hca *h, u32 uar, u32 value, bool arm);
void eq_free(struct eq *eq);

struct cq {
    struct object o;
    u8 context[64];
    struct buffer buffer;
    struct eq *eq;
    u64 record;
    u32 log_size;
    u32 producer;
    bool ignore_overrun, error;
    bool armed, solicited_only;
    u8 sequence;
};
void cq_post(struct hca *h, struct cq *cq, u8 cqe[MLX_CQE_SIZE], enum mlx_cqe_opcode opcode,
             bool solicited);
void cq_doorbell(struct hca *h, u32 uar, const u8 bytes[8]);
void cq_free(struct cq *cq);

/* --- memory keys: mkey.c, umr.c -------------------------------------------------------------------------- */

struct mkey {
    struct object o;
    u8 context[64];
    u8 *entries;   /* MTTs or KLMs, as the driver wrote them */
    u32 octowords; /* room in entries: the context's, rounded up to what UMR writes */
};
struct mkey *mkey_find(struct hca *h, u32 key);
u8 mkey_mode(const struct mkey *m);
/* rc.h's translate, for a queue pair of that domain and number. */
enum rc_memory mkey_translate(struct hca *h, u32 pd, u32 qpn, const struct rc_range *range,
                              struct rc_piece *piece);
/* Makes it free, as SEND with invalidate and UMR do. */
enum rc_memory mkey_invalidate(struct hca *h, u32 pd, u32 key);
enum mlx_status mkey_check_context(struct hca *h, const u8 *mkc);
void mkey_free(struct mkey *m);

struct qp;
/* Executes a UMR WQE. */
enum mlx_cqe_syndrome umr_execute(struct hca *h, struct qp *qp, const u8 *wqe, u32 ds);

/* --- queue pairs: qp.c, wqe.c, engine.c ------------------------------------------------------------------- */

/* What the send queue still owes: in order, by running number. */
struct work {
    u8 opcode; /* of the WQE */
    u8 ce;
    bool done;
    enum mlx_cqe_syndrome error;
    u16 wqe_index;
    u32 length;
};
struct send {
    struct rc_wr wr; /* wr_id: the work's running number */
    u8 data[HCA_MAX_WQE];
};

struct qp {
    struct object o;
    struct hca *hca;
    u8 context[MLX_QPC_SIZE];
    u8 service; /* enum mlx_service */
    u8 state;   /* enum mlx_qp_state; of RC the engine's counts */
    bool is_sq; /* Ethernet's send queue, which only executes NOPs */
    struct buffer buffer;
    u64 sq_offset;
    u32 log_sq, log_rq, log_rq_stride;
    bool has_sq, has_rq;
    u64 record;
    u32 uar;
    struct cq *send_cq, *recv_cq;
    u32 pd, user_index;
    /* Send queue: WQEBBs taken; works made and retired; of them the engine's. */
    u16 sq_head;
    u32 made, retired, sent;
    struct work *work;
    struct send *send;
    /* Receive queue: WQEs taken. */
    u32 rq_head;
    struct rc_recv *recv;
    /* Engine. */
    struct rc rc;
    struct list active;
    u64 deadline;
    bool must_fail; /* when the engine has returned */
};
void qp_free(struct qp *qp);
u8 qp_state(const struct qp *qp);
/* The queue pair is in error for a fault of its driver: with an event now, in that state with its next turn. */
void qp_fail(struct hca *h, struct qp *qp, enum mlx_event event);
void qp_fail_now(struct hca *h, struct qp *qp);
/* rc.h's translate. */
enum rc_memory qp_translate(struct qp *qp, const struct rc_range *range, struct rc_piece *piece);
/* A send doorbell: 8 bytes at a UAR's offset 0x800 and above. */
void qp_doorbell(struct hca *h, u32 uar, const u8 bytes[8]);
void qp_activate(struct qp *qp);

/* Reads what was posted: work for the engine, work that is done here. */
void wqe_fetch(struct hca *h, struct qp *qp);
struct rc_recv *wqe_receive(struct hca *h, struct qp *qp);
/* That work is done; completions are written in order. error 0: well. */
void wqe_done(struct hca *h, struct qp *qp, u32 number, enum mlx_cqe_syndrome error);
/* All work that is left is flushed. */
void wqe_flush(struct hca *h, struct qp *qp);
u32 wqe_posted(struct hca *h, struct qp *qp); /* the record's counter, of the send queue */

extern const struct rc_ops engine_ops;
/* INIT2RTR's path for the engine. */
enum mlx_status engine_path(struct hca *h, const struct qp *qp, const u8 *ads, u32 remote_qpn,
                            struct roce_path *path);
/* Receives, sends, and looks at the clock; true: there is more to do at once. */
bool engine_run(struct hca *h);
void engine_frame(struct hca *h, const u8 *frame, u32 size);
u64 engine_deadline(struct hca *h); /* ns */

/* --- the wire: wire.c ------------------------------------------------------------------------------------- */

struct wire {
    int fd;
    u8 out[WIRE_FRAME_MOST];
    u32 waiting; /* bytes of a frame in out that the wire did not take yet */
    u8 loop[64][WIRE_FRAME_MOST];
    u16 loop_size[64];
    u32 loop_head, loop_tail;
    u64 sent, received, dropped[ROCE_DROP_COUNT];
};
u8 *wire_begin(struct hca *h, u32 size);
void wire_send(struct hca *h, u32 size);
void wire_retry(struct hca *h);
bool wire_receive(struct hca *h);
/* "LOCAL,REMOTE": paths of unix datagram sockets. */
bool wire_open(struct hca *h, const char *paths);

/* --- faults: fault.c -------------------------------------------------------------------------------------- */

enum fault_kind {
    FAULT_COMMAND_TIMEOUT, /* a command is never answered */
    FAULT_INTERNAL_ERROR,  /* an internal error event, and the health buffer says so */
    FAULT_HEALTH,          /* a syndrome in the health buffer */
    FAULT_STOPPED,         /* the health counter stands still */
    FAULT_PORT_DOWN,
    FAULT_PORT_UP,
    FAULT_PAGE_REQUEST, /* the command waits until its request for pages was met */
    FAULT_CQ_OVERRUN,   /* the next completion finds its queue full */
    FAULT_KINDS
};
struct fault {
    u8 kind;
    bool armed;
    u32 value;
    u64 at; /* number of the command at which it happens; 0: now */
};
/* "NAME[=VALUE][@COMMAND]"; false: it is not that. */
bool fault_add(struct hca *h, const char *text);
/* At the start of a command. */
void fault_command(struct hca *h);
bool fault_take(struct hca *h, enum fault_kind kind, u32 *value);
void fault_help(FILE *to);

/* --- the card ----------------------------------------------------------------------------------------------- */

enum hca_state { HCA_OFF, HCA_ENABLED, HCA_RUNNING };

struct hca_options {
    u8 mac[6];
    u8 port_type;
    u16 lid;
    u32 boot_pages, init_pages, regular_pages;
    bool umr;
    int level;
};

struct hca {
    struct hca_options options;
    FILE *log;
    u64 (*now)(void); /* ns */

    struct memory_range range[HCA_RANGES];
    u32 ranges;

    u8 config[256];
    u32 bar;
    struct msix msix;
    int proxy_fd, qtest_fd, control_fd;

    u8 state;
    bool issi_is_set;
    u16 issi;
    u64 cmdq;
    bool cmdq_is_set;
    u32 cmdq_high;
    u8 nic_interface;
    u32 initializing; /* reads of that bit that still find it set */
    u64 commands, refused;
    u32 syndrome;
    struct command *waits; /* for pages */
    u32 doorbells;         /* of the command queue, not looked at yet */
    u8 *cmd_in, *cmd_out;

    u64 *given;     /* pages that are firmware's: a bit for each of the first 2^24 */
    u64 *page_list; /* the same, as a list */
    u32 page_count, page_room;
    u32 wanted_boot, wanted_init;
    s32 asked; /* pages asked for by events and not given yet */

    struct object_table table[OBJ_KINDS];
    u8 cap[8][MLX_CAP_SIZE]; /* current, by enum mlx_cap_type */
    u8 cap_max[8][MLX_CAP_SIZE];

    bool port_up, admin_up;
    u32 mtu;
    u8 nic_vport[256];
    u8 roce_address[HCA_GIDS][MLX_ROCE_ADDRESS_SIZE];
    u8 health_synd;
    bool health_rfr;    /* request for reset */
    u64 health_stopped; /* the counter, if it stands still */

    struct icrc icrc;
    struct list active;
    u64 deadline;
    struct wire wire;
    struct fault fault[16];
};

/* hca.c */
void hca_init(struct hca *h, const struct hca_options *options, FILE *log, u64 (*now)(void));
/* As after power-on: objects, pages and capabilities are forgotten. */
void hca_reset(struct hca *h);
void hca_free(struct hca *h);
/* Everything that is due. true: there is more to do at once. */
bool hca_run(struct hca *h);

/* bar.c */
u64 bar_read(struct hca *h, u64 offset, u32 size);
void bar_write(struct hca *h, u64 offset, u64 value, u32 size);
/* pci.c */
u32 cfg_read(struct hca *h, u32 offset, u32 size);
void cfg_write(struct hca *h, u32 offset, u32 value, u32 size);
void cfg_init(struct hca *h);
/* iseg.c */
u32 iseg_read(struct hca *h, u32 offset);
void iseg_write(struct hca *h, u32 offset, u32 value);
/* pages.c */
bool pages_is_given(const struct hca *h, u64 gpa, u64 size);
/* Asks for pages by an event (negative: offers to give back). */
void pages_request(struct hca *h, s32 count);
void pages_forget(struct hca *h);
/* caps.c */
void caps_reset(struct hca *h);
/* port.c */
void port_set(struct hca *h, bool up);
void port_reset(struct hca *h);
/* proxy.c: one message of QEMU's. false: it is gone. */
bool proxy_serve(struct hca *h);
