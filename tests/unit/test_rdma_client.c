/* SPDX-License-Identifier: BSD-2-Clause */
/* The end that asks: which answers it takes. What it asks for is answered by the test. */
#include <string.h>
#include "drivers/net/rdma/client.h"
#include "drivers/net/rdma/host.h"
#include "drivers/net/roce/nic.h"
#include "kernel/console.h"
#include "kernel/thread.h"
#include "unit.h"

#define ID      7
#define END(id) "ferry-rdma 1 ready id=" id " gid=00000000000000000000ffff0a000002 qpn=5"
#define REST    " psn=1 mtu=1024 addr=4096 key=9 length=2097152 message=1048576 mode=0 access=15"

static const ip4_t peer = {0x0a000002};
static udp_handler *handler;
static const char *answer; /* to each hello */
static u64 now;
static struct rdma_client client;
static u32 connected;

/* --- what the client stands on ------------------------------------------------------------------------------- */

u64 time_now(void)
{
    return now;
}
void thread_sleep_until(u64 at)
{
    now = MAX(at, now);
}
struct thread *thread_current(void)
{
    return NULL;
}
void thread_wake(struct thread *thread)
{
    (void)thread;
}
int console_read(u64 timeout)
{
    (void)timeout;
    return -1;
}
u64 roce_random(void)
{
    return ID;
}
struct ip *ip_host(void)
{
    return NULL;
}
enum err ip_resolve(struct ip *ip, ip4_t address, u64 timeout, mac_t *mac, struct why *why)
{
    (void)ip, (void)address, (void)timeout, (void)mac, (void)why;
    return OK;
}
struct verbs_device *rdma_host(void)
{
    static struct verbs_device device;

    return &device;
}
enum err rdma_host_missing(struct why *why)
{
    return why_set(why, E_STATE, "none");
}

enum err udp_bind(struct ip *ip, u16 port, udp_handler *h, void *ctx)
{
    (void)ip, (void)port, (void)ctx;
    handler = h;
    return OK;
}
void udp_unbind(struct ip *ip, u16 port)
{
    (void)ip, (void)port;
    handler = NULL;
}
enum err udp_send(struct ip *ip, ip4_t to, u16 from_port, u16 to_port, const void *data, u32 size)
{
    struct udp_datagram d = {.ip = {.frame = (const u8 *)answer, .source = peer},
                             .data_size = (u32)strlen(answer)};

    (void)ip, (void)to, (void)from_port, (void)to_port, (void)data, (void)size;
    handler(NULL, &d);
    return OK;
}

enum err rdma_link_open(struct rdma_link *l, enum rdma_mode mode, u32 access, u32 message,
                        struct why *why)
{
    (void)l, (void)mode, (void)access, (void)message, (void)why;
    return OK;
}
enum err rdma_link_connect(struct rdma_link *l, struct ip *ip, const struct rdma_end *theirs,
                           struct why *why)
{
    (void)l, (void)ip, (void)why;
    assert_int_equal(theirs->qpn, 5);
    connected++;
    return OK;
}
void rdma_link_close(struct rdma_link *l)
{
    (void)l;
}
enum err rdma_link_post(struct rdma_link *l, const struct verbs_send_wr *wr, u64 offset, u32 length,
                        struct why *why)
{
    (void)l, (void)wr, (void)offset, (void)length, (void)why;
    return OK;
}
bool rdma_link_poll(struct rdma_link *l, struct verbs_wc *wc, u64 end)
{
    (void)l, (void)wc;
    now = end;
    return false;
}

/* --- tests ----------------------------------------------------------------------------------------------------- */

static enum err begin(const char *text, struct why *why)
{
    enum err e;

    answer = text;
    connected = 0;
    e = rdma_client_begin(&client, "10.0.0.2", RDMA_SINK, ACCESS_ALL, KIB(4), why);
    rdma_client_end(&client);
    return e;
}

static void it_connects_to_the_end_that_answers(void **state)
{
    (void)state;
    assert_int_equal(begin(END("7") REST, NULL), OK);
    assert_int_equal(connected, 1);
}

static void what_is_no_answer_to_it_is_not_taken(void **state)
{
    static const char *const texts[] = {
        END("8") REST, /* to somebody else, or to an earlier one */
        END("7"),      /* not all is there */
        END("7") REST " mtu=1024",
        "ferry-rdma 1 gone id=7",
    };

    (void)state;
    for (u32 i = 0; i < COUNT_OF(texts); i++) {
        assert_int_equal(begin(texts[i], NULL), E_TIMEOUT);
        assert_int_equal(connected, 0);
    }
}

static void a_refusal_is_passed_on(void **state)
{
    struct why why;

    (void)state;
    assert_int_equal(begin("ferry-rdma 1 refused id=7 no more room", &why), E_STATE);
    assert_non_null(strstr(why.text, "no more room"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_connects_to_the_end_that_answers),
        cmocka_unit_test(what_is_no_answer_to_it_is_not_taken),
        cmocka_unit_test(a_refusal_is_passed_on),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
