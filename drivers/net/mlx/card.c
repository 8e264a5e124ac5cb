/* SPDX-License-Identifier: BSD-2-Clause */
/* Cards: which there are, what starts and stops them, and the thread that each has. */
#include "drivers/net/mlx/mlx.h"
#include "kernel/heap.h"
#include "kernel/log.h"

#define IDLE   MSEC(5)
#define EXPECT USEC(200)

/* --- devices ------------------------------------------------------------------------------------------------ */

struct mlx_model {
    u16 device;
    bool tested; /* with this driver, if only against the model of one (tools/hca) */
    const char *name;
};

/* Physical functions, from ConnectX-4 on (the PCI ID repository). */
#define VENDOR 0x15b3
#define MODELS(M)                                                                                  \
    M(0x1013, false, "ConnectX-4")                                                                 \
    M(0x1015, false, "ConnectX-4 Lx")                                                              \
    M(0x1017, true, "ConnectX-5")                                                                  \
    M(0x1019, false, "ConnectX-5 Ex")                                                              \
    M(0x101b, false, "ConnectX-6")                                                                 \
    M(0x101d, false, "ConnectX-6 Dx")                                                              \
    M(0x101f, false, "ConnectX-6 Lx")                                                              \
    M(0x1021, false, "ConnectX-7")                                                                 \
    M(0x1023, false, "ConnectX-8")                                                                 \
    M(0xa2d2, false, "BlueField")                                                                  \
    M(0xa2d6, false, "BlueField-2")                                                                \
    M(0xa2dc, false, "BlueField-3")

#define MODEL(id, is_tested, text) {id, is_tested, text},
static const struct mlx_model models[] = {MODELS(MODEL)};
#define ID(id, is_tested, text) {VENDOR, id},
static const struct pci_id ids[] = {MODELS(ID){0, 0}};

static struct mlx *cards;

struct mlx *mlx_cards(void)
{
    return cards;
}

const char *mlx_model_name(const struct mlx *m)
{
    return m->model ? m->model->name : "a card";
}

/* --- the thread ------------------------------------------------------------------------------------------------ */

static void look_at_port(struct mlx *m)
{
    bool before = m->link;
    struct why why;

    m->port_event = false;
    if (mlx_port_look(m, &why))
        log_warn("%s", why.text);
    else if (m->link != before)
        log_warn("%s: the link is %s", m->name, m->link ? "up" : "down");
}

/* What failed touches no memory from here on, so that all can end that used it. */
static void bury(struct mlx *m)
{
    mlx_silence(m);
    lock_acquire(&m->base.lock);
    m->silent = true;
    lock_release(&m->base.lock);
}

static void look_at_completions(struct mlx *m)
{
    const char *refusal;

    lock_acquire(&m->base.lock);
    refusal = mlx_refusal(m);
    lock_release(&m->base.lock);
    if (refusal)
        mlx_fail(m, "it wrote a completion that makes no sense: %s", refusal);
}

static void serve(struct mlx *m)
{
    if (m->state == MLX_UP) {
        mlx_eq_poll(m);
        mlx_pages_serve(m);
        if (m->port_event)
            look_at_port(m);
        if (m->look_at_health || time_now() >= m->health_next)
            (void)mlx_health(m);
        look_at_completions(m);
    }
    if (m->state == MLX_DEAD && !m->silent)
        bury(m);
    mlx_objects_end(m);
    (void)verbs_progress(&m->base);
}

/* Where nothing is in use, or being made, nothing is made any more. */
static enum err stop_making(struct mlx *m, struct why *why)
{
    const u32 *c = m->counts;
    enum err e = OK;

    lock_acquire(&m->base.lock);
    if (c[MLX_KIND_QP] || c[MLX_KIND_CQ] || c[MLX_KIND_MKEY])
        e = why_set(why, E_STATE,
                    "%s: %u queue pairs, %u completion queues and %u memory regions are in use",
                    m->name, c[MLX_KIND_QP], c[MLX_KIND_CQ], c[MLX_KIND_MKEY]);
    else if (m->making)
        e = why_set(why, E_STATE, "%s: somebody begins to use it", m->name);
    else if (m->state == MLX_UP)
        m->state = MLX_DOWN;
    lock_release(&m->base.lock);
    return e;
}

static void reset(struct mlx *m)
{
    m->reset_why.text[0] = '\0';
    if (!stop_making(m, &m->reset_why)) {
        mlx_take_down(m);
        pci_enable(m->pci);
        if (mlx_bring_up(m, &m->reset_why))
            m->failure = m->reset_why;
    }
    __atomic_store_n(&m->reset_wanted, false, __ATOMIC_RELEASE);
}

/* Soon again while a completion is awaited. */
static u64 nap(struct mlx *m)
{
    bool awaited;

    lock_acquire(&m->base.lock);
    awaited = mlx_is_awaited(m) || !list_empty(&m->ending);
    m->idle = !awaited;
    lock_release(&m->base.lock);
    return awaited ? EXPECT : IDLE;
}

static void card_thread(void *argument)
{
    struct mlx *m = argument;

    while (!__atomic_load_n(&m->leaving, __ATOMIC_ACQUIRE)) {
        serve(m);
        if (__atomic_load_n(&m->reset_wanted, __ATOMIC_ACQUIRE))
            reset(m);
        thread_sleep_until(time_now() + nap(m));
    }
    __atomic_store_n(&m->thread, NULL, __ATOMIC_RELEASE);
    thread_exit();
}

struct verbs_device *mlx_host(void)
{
    for (struct mlx *m = cards; m; m = m->next)
        if (m->state == MLX_UP && m->link && m->ip)
            return &m->base;
    return NULL;
}

/* --- start and stop -------------------------------------------------------------------------------------------- */

static const struct mlx_model *model_of(u16 device)
{
    for (unsigned i = 0; i < COUNT_OF(models); i++)
        if (models[i].device == device)
            return &models[i];
    return NULL;
}

static void join(struct mlx *m)
{
    struct mlx **end = &cards;
    u32 number = 0;

    for (; *end; end = &(*end)->next)
        number++;
    *end = m;
    str_format(m->name, sizeof(m->name), "mlx%u", number);
}

static enum err start(struct pci_device *d, struct why *why)
{
    struct mlx *m = heap_alloc(sizeof(*m));

    if (!m)
        return why_set(why, E_NOMEM, "no memory for its driver");
    m->pci = d;
    m->model = model_of(d->device);
    pci_enable(d);
    m->bar = d->bar[0].size >= MIB(1) ? pci_map(d, 0) : NULL;
    if (!m->bar) {
        heap_free(m);
        return why_set(why, E_IO, "firmware gave its registers no address (BAR 0): see `pci bars`");
    }
    join(m);
    mlx_device_init(m);
    if (mlx_bring_up(m, &m->failure)) { /* `rdma reset` may succeed */
        log_warn("%s", m->failure.text);
    } else {
        log_info("%s: %s, firmware %u.%u.%u, link %s", m->name, m->model->name, m->fw[0], m->fw[1],
                 m->fw[2], m->link ? "up" : "down");
        if (!m->model->tested)
            log_warn("%s: %s was never tried with this driver", m->name, m->model->name);
    }
    if (thread_create(&m->thread, m->name, card_thread, m))
        log_warn("%s: no memory for its thread", m->name);
    return OK;
}

/* Before reboot and poweroff: firmware has none of our memory afterwards. */
static void stop(struct pci_device *d)
{
    for (struct mlx *m = cards; m; m = m->next) {
        u64 end = time_now() + SEC(12); /* its thread may wait for a command */

        if (m->pci != d)
            continue;
        __atomic_store_n(&m->leaving, true, __ATOMIC_RELEASE);
        while (__atomic_load_n(&m->thread, __ATOMIC_ACQUIRE) && time_now() < end)
            thread_sleep(MSEC(1));
        mlx_take_down(m);
    }
}

PCI_DRIVER(mlx, .name = "mlx", .ids = ids, .start = start, .stop = stop);
