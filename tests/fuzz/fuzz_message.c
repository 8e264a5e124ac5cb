/* SPDX-License-Identifier: BSD-2-Clause */
/* What another host says first, before anything is known of it: hellos and control messages. Whatever the bytes are, nothing
 * outside them is read, and a message that is taken has the elements that it says it has. The first byte chooses whether
 * they are sealed as the peer would do it, so that the form is looked at behind the MAC, too. */
#include <stdlib.h>
#include <string.h>
#include "kernel/string.h"
#include "migrate/hello.h"
#include "migrate/message.h"

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition))                                                                          \
            abort();                                                                               \
    } while (0)

static const struct key key = {{1, 2, 3}};

static void check_hello(const u8 *data, u32 size)
{
    struct hello h;

    if (!hello_read(&h, data, size))
        return;
    CHECK(size == sizeof(h) && h.kind < HELLO_KINDS);
    for (unsigned i = 0; i < 2; i++)
        CHECK(h.session.name[i][0] && !h.session.name[i][CONFIG_NAME - 1]);
    CHECK(!hello_is_fresh(&key, (ip4_t){1}, &h, SEC(20)));
    CHECK(!hello_is_authentic(&h, &key));
    hello_seal(&h, &key);
    CHECK(hello_is_authentic(&h, &key));
}

static void check_message(u8 *data, u32 size, bool sealed)
{
    struct message_header *h = (void *)data;
    struct why why = {""};

    if (sealed && size >= sizeof(*h)) {
        u8 type = h->type;

        message_seal(h, (enum message_type)(type % (MESSAGE_TYPES + 1)), size, 7, &key);
    }
    if (message_check(data, size, 7, &key, &why)) {
        CHECK(why.text[0]);
        return;
    }
    CHECK(sealed && h->type < MESSAGE_TYPES && h->size == size && size <= MESSAGE_SIZE);
    CHECK(message_name((enum message_type)h->type)[0]);
    h->sequence++;
    CHECK(message_check(data, size, 7, &key, &why));
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
    u8 *copy;

    if (!size || size > MESSAGE_SIZE + 2)
        return 0;
    copy = malloc(size - 1); /* so that what is read behind it is seen */
    memcpy(copy, data + 1, size - 1);
    check_hello(copy, (u32)size - 1);
    check_message(copy, (u32)size - 1, data[0] & 1);
    free(copy);
    return 0;
}
