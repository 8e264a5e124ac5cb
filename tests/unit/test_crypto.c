/* SPDX-License-Identifier: BSD-2-Clause */
/* MACs and key derivation against the vectors of RFC 4231 and RFC 5869. */
#include <string.h>
#include "fake/fake.h"
#include "kernel/crypto/crypto.h"
#include "unit.h"

static int setup(void **state)
{
    (void)state;
    fake_reset();
    return 0;
}

/* RFC 4231, test case 1; a shorter key is one with zeros behind it. */
static void test_mac_is_hmac_sha_256(void **state)
{
    static const u8 expected[MAC_SIZE] = {0xb0, 0x34, 0x4c, 0x61, 0xd8, 0xdb, 0x38, 0x53,
                                          0x5c, 0xa8, 0xaf, 0xce, 0xaf, 0x0b, 0xf1, 0x2b};
    struct key key = {{0}};
    struct mac whole, parts;

    (void)state;
    memset(key.b, 0x0b, 20);
    whole = mac_of(&key, "Hi There", 8, NULL, 0);
    parts = mac_of(&key, "Hi ", 3, "There", 5);
    assert_memory_equal(whole.b, expected, MAC_SIZE);
    assert_true(mac_matches(&whole, &parts));
    parts.b[15] ^= 1;
    assert_false(mac_matches(&whole, &parts));
}

/* RFC 5869, A.1: the first 32 of its 42 bytes. */
static void test_key_is_hkdf(void **state)
{
    static const u8 expected[KEY_SIZE] = {0x3c, 0xb2, 0x5f, 0x25, 0xfa, 0xac, 0xd5, 0x7a,
                                          0x90, 0x43, 0x4f, 0x64, 0xd0, 0x36, 0x2f, 0x2a,
                                          0x2d, 0x2d, 0x0a, 0x90, 0xcf, 0x1a, 0x5a, 0x4c,
                                          0x5d, 0xb0, 0x2d, 0x56, 0xec, 0xc4, 0xc5, 0xbf};
    u8 secret[22], salt[13];
    struct key k;

    (void)state;
    memset(secret, 0x0b, sizeof(secret));
    for (u8 i = 0; i < sizeof(salt); i++)
        salt[i] = i;
    k = key_derive(secret, sizeof(secret), salt, sizeof(salt),
                   "\xf0\xf1\xf2\xf3\xf4\xf5\xf6\xf7\xf8\xf9");
    assert_memory_equal(k.b, expected, KEY_SIZE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_mac_is_hmac_sha_256, setup),
        cmocka_unit_test_setup(test_key_is_hkdf, setup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
