/* SPDX-License-Identifier: BSD-2-Clause */
/* Neighbours: addresses to MACs, by ARP (RFC 826), with what waits for them. Under the stack's lock; frames are
 * sent and callbacks made without it. */
#include "drivers/net/ip/ip.h"
#include "kernel/log.h"

static struct ip_route route_of(const struct ip *ip, mac_t to_mac, ip4_t to)
{
    return (struct ip_route){to_mac, ip->ether->mac, to, ip->address};
}

/* The frame is small: what finds no buffer is asked again later. */
static void send_arp(struct ip *ip, mac_t to_mac, ip4_t to, u16 operation, mac_t target)
{
    struct ip_route r = route_of(ip, to_mac, to);
    u8 *frame = ether_take(ip->ether);

    if (frame)
        ether_send(ip->ether, frame, arp_write(frame, &r, operation, target));
}

static void ask(struct ip *ip, ip4_t to)
{
    send_arp(ip, MAC_BROADCAST, to, ARP_REQUEST, (mac_t){{0}});
}

void arp_announce(struct ip *ip)
{
    ask(ip, ip->address); /* RFC 5227, 2.3: sender and target are the same */
}

/* --- the table ----------------------------------------------------------------------------------- */

static struct neighbour *find(struct ip *ip, ip4_t a)
{
    for (unsigned i = 0; i < IP_NEIGHBOURS; i++)
        if (ip->neighbour[i].state != NEIGHBOUR_FREE && ip->neighbour[i].address.v == a.v)
            return &ip->neighbour[i];
    return NULL;
}

static void drop_held(struct ip *ip, struct neighbour *n)
{
    if (!n->held)
        return;
    ether_give_back(ip->ether, n->held);
    n->held = NULL;
    ip->held--;
    ip->dropped[DROP_NO_NEIGHBOUR]++;
}

/* A free place, or that of the one that was used least lately. */
static struct neighbour *make(struct ip *ip, ip4_t a, u64 now)
{
    struct neighbour *n = &ip->neighbour[0];

    for (unsigned i = 0; i < IP_NEIGHBOURS && n->state != NEIGHBOUR_FREE; i++)
        if (ip->neighbour[i].state == NEIGHBOUR_FREE || ip->neighbour[i].used < n->used)
            n = &ip->neighbour[i];
    drop_held(ip, n);
    *n = (struct neighbour){
        .state = NEIGHBOUR_ASKED, .address = a, .since = now, .used = now, .ask_next = now};
    return n;
}

/* The entry for an address that is to be used, asking if that is needed. */
static struct neighbour *use(struct ip *ip, ip4_t a)
{
    u64 now = time_now();
    struct neighbour *n = find(ip, a);
    bool stale = n && n->state == NEIGHBOUR_KNOWN && now - n->since > NEIGHBOUR_FRESH;

    if (!n || (n->state == NEIGHBOUR_KNOWN && now - n->since > NEIGHBOUR_LIFE))
        n = n ? n : make(ip, a, now);
    if (n->state == NEIGHBOUR_KNOWN && now - n->since > NEIGHBOUR_LIFE) {
        n->state = NEIGHBOUR_ASKED;
        n->tries = 0;
        n->ask_next = now;
    }
    n->used = now;
    if (now >= n->ask_next && (n->state == NEIGHBOUR_ASKED || stale)) {
        n->tries++;
        n->ask_next = now + ARP_PERIOD;
        ask(ip, a);
    }
    return n;
}

void arp_send_to(struct ip *ip, ip4_t to, u8 *frame, u32 size)
{
    struct neighbour *n;

    lock_acquire(&ip->lock);
    n = use(ip, to);
    if (n->state == NEIGHBOUR_KNOWN) {
        ((struct ether_header *)frame)->to = n->mac;
        ether_send(ip->ether, frame, size);
    } else if (n->held || ip->held == IP_HELD) {
        ip->dropped[DROP_NO_NEIGHBOUR]++;
        ether_give_back(ip->ether, frame);
    } else {
        n->held = frame;
        n->held_size = size;
        ip->held++;
    }
    lock_release(&ip->lock);
    ether_kick(ip->ether);
}

/* --- resolving ----------------------------------------------------------------------------------- */

/* Moves to `over` what is answered or too late. The lock is held. */
static void collect(struct ip *ip, u64 now, struct list *over)
{
    struct ip_resolve *r;

    LIST_FOR_EACH(r, &ip->resolving, link)
    {
        struct neighbour *n = find(ip, r->address);
        bool known = n && n->state == NEIGHBOUR_KNOWN;

        if (!known && now < r->deadline)
            continue;
        if (known)
            r->mac = n->mac;
        r->result = known ? OK : E_TIMEOUT;
        list_remove(&r->link);
        list_append(over, &r->link);
    }
}

static void tell(struct list *over)
{
    while (!list_empty(over)) {
        struct ip_resolve *r = CONTAINER_OF(over->next, struct ip_resolve, link);

        list_remove(&r->link);
        r->done(r);
    }
}

enum err ip_resolve_start(struct ip *ip, struct ip_resolve *r)
{
    struct list over;

    if (ip_reachable(ip, r->address, NULL))
        return E_RANGE;
    list_init(&over);
    lock_acquire(&ip->lock);
    use(ip, r->address);
    list_append(&ip->resolving, &r->link);
    collect(ip, 0, &over);
    lock_release(&ip->lock);
    tell(&over);
    ether_kick(ip->ether);
    return OK;
}

void ip_resolve_cancel(struct ip *ip, struct ip_resolve *r)
{
    lock_acquire(&ip->lock);
    list_remove(&r->link);
    lock_release(&ip->lock);
}

struct waiting {
    struct ip_resolve resolve;
    struct thread *thread;
    u32 over;
};

static void wake(struct ip_resolve *r)
{
    struct waiting *w = CONTAINER_OF(r, struct waiting, resolve);
    struct thread *t = w->thread;

    __atomic_store_n(&w->over, 1, __ATOMIC_RELEASE); /* then w is gone */
    thread_wake(t);
}

enum err ip_resolve(struct ip *ip, ip4_t address, u64 timeout_ns, mac_t *mac, struct why *why)
{
    struct waiting w = {.thread = thread_current()};
    char text[IP4_TEXT];
    enum err e = ip_reachable(ip, address, why);

    if (e)
        return e;
    w.resolve.address = address;
    w.resolve.deadline = time_now() + timeout_ns;
    w.resolve.done = wake;
    e = ip_resolve_start(ip, &w.resolve);
    while (!e && !__atomic_load_n(&w.over, __ATOMIC_ACQUIRE))
        thread_block();
    if (!e && w.resolve.result)
        return why_set(why, E_TIMEOUT, "nobody in this network answers for %s",
                       ip4_text(text, address));
    *mac = w.resolve.mac;
    return e;
}

bool ip_lookup(struct ip *ip, ip4_t address, mac_t *mac)
{
    struct neighbour *n;
    bool known;

    if (ip_reachable(ip, address, NULL))
        return false;
    lock_acquire(&ip->lock);
    n = use(ip, address);
    known = n->state == NEIGHBOUR_KNOWN;
    *mac = n->mac;
    lock_release(&ip->lock);
    return known;
}

/* --- what comes ------------------------------------------------------------------------------------ */

/* RFC 5227, 2.4: defend the address, so that the other end notices too, but not in an endless quarrel. */
static void conflict(struct ip *ip, mac_t other)
{
    u64 now = time_now();
    char mac[MAC_TEXT], address[IP4_TEXT];

    ip->conflicts++;
    ip->conflict = other;
    if (ip->conflict_time && now - ip->conflict_time < CONFLICT_PERIOD)
        return;
    ip->conflict_time = now;
    log_warn("address %s is also used by %s: give one of the two another `address`",
             ip4_text(address, ip->address), mac_text(mac, other));
    arp_announce(ip);
}

static void learn(struct ip *ip, struct neighbour *n, mac_t mac)
{
    n->state = NEIGHBOUR_KNOWN;
    n->mac = mac;
    n->since = time_now();
    n->tries = 0;
    if (!n->held)
        return;
    ((struct ether_header *)n->held)->to = mac;
    ether_send(ip->ether, n->held, n->held_size);
    n->held = NULL;
    ip->held--;
}

/* RFC 826: what is known of the sender is brought up to date; he is new only if he asks for us. */
enum ip_drop arp_receive(struct ip *ip, const u8 *frame, u32 size)
{
    struct arp_message m;
    enum ip_drop drop = arp_read(&m, frame, size);
    struct neighbour *n;
    struct list over;
    bool for_us = drop == IP_TAKEN && m.target.v == ip->address.v;

    if (drop != IP_TAKEN)
        return drop;
    list_init(&over);
    lock_acquire(&ip->lock);
    if (m.sender.v == ip->address.v) {
        if (!mac_equal(m.sender_mac, ip->ether->mac))
            conflict(ip, m.sender_mac);
    } else if (m.sender.v && !ip_reachable(ip, m.sender, NULL)) {
        n = find(ip, m.sender);
        if (!n && for_us && m.operation == ARP_REQUEST)
            n = make(ip, m.sender, time_now());
        if (n)
            learn(ip, n, m.sender_mac);
        collect(ip, 0, &over);
    }
    lock_release(&ip->lock);
    tell(&over);
    if (for_us && m.operation == ARP_REQUEST && m.sender.v != ip->address.v)
        send_arp(ip, m.sender_mac, m.sender, ARP_REPLY, m.sender_mac);
    return IP_TAKEN;
}

/* --- time ------------------------------------------------------------------------------------------ */

static bool is_wanted(const struct ip *ip, ip4_t a)
{
    const struct ip_resolve *r;

    LIST_FOR_EACH(r, &ip->resolving, link)
    {
        if (r->address.v == a.v)
            return true;
    }
    return false;
}

static void tick_neighbour(struct ip *ip, struct neighbour *n, u64 now)
{
    if (n->state != NEIGHBOUR_ASKED || now < n->ask_next)
        return;
    if (n->tries >= ARP_TRIES && !is_wanted(ip, n->address)) {
        drop_held(ip, n);
        n->state = NEIGHBOUR_FREE;
        return;
    }
    n->tries++;
    n->ask_next = now + ARP_PERIOD;
    ask(ip, n->address);
}

void arp_tick(struct ip *ip, u64 now)
{
    struct list over;

    list_init(&over);
    lock_acquire(&ip->lock);
    for (unsigned i = 0; i < IP_NEIGHBOURS; i++)
        tick_neighbour(ip, &ip->neighbour[i], now);
    collect(ip, now, &over);
    if (now >= ip->announce_next) { /* RFC 5227, 2.3: twice, in case one is lost */
        arp_announce(ip);
        ip->announce_next = ++ip->announced < 2 ? now + SEC(2) : U64_MAX;
    }
    lock_release(&ip->lock);
    tell(&over);
}

u64 arp_deadline(struct ip *ip)
{
    u64 next = ip->announce_next;
    const struct ip_resolve *r;

    lock_acquire(&ip->lock);
    for (unsigned i = 0; i < IP_NEIGHBOURS; i++)
        if (ip->neighbour[i].state == NEIGHBOUR_ASKED)
            next = MIN(next, ip->neighbour[i].ask_next);
    LIST_FOR_EACH(r, &ip->resolving, link)
    {
        next = MIN(next, r->deadline);
    }
    lock_release(&ip->lock);
    return next;
}
