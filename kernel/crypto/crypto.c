/* SPDX-License-Identifier: BSD-2-Clause */
#include "kernel/crypto/crypto.h"
#include "kernel/arch.h"
#include "kernel/string.h"
#include <bearssl_hash.h>
#include <bearssl_hmac.h>
#include <bearssl_kdf.h>

struct mac mac_of(const struct key *key, const void *data, size_t size, const void *more,
                  size_t more_size)
{
    br_hmac_key_context keyed;
    br_hmac_context c;
    struct mac m;

    arch_fpu_begin();
    br_hmac_key_init(&keyed, &br_sha256_vtable, key->b, sizeof(key->b));
    br_hmac_init(&c, &keyed, sizeof(m.b));
    br_hmac_update(&c, data, size);
    if (more_size)
        br_hmac_update(&c, more, more_size);
    br_hmac_out(&c, m.b);
    arch_fpu_end();
    return m;
}

bool mac_matches(const struct mac *a, const struct mac *b)
{
    u8 differ = 0;

    for (unsigned i = 0; i < MAC_SIZE; i++)
        differ |= a->b[i] ^ b->b[i];
    return !differ;
}

struct key key_derive(const void *secret, size_t secret_size, const void *salt, size_t salt_size,
                      const char *label)
{
    br_hkdf_context c;
    struct key k;

    arch_fpu_begin();
    br_hkdf_init(&c, &br_sha256_vtable, salt, salt_size);
    br_hkdf_inject(&c, secret, secret_size);
    br_hkdf_flip(&c);
    br_hkdf_produce(&c, label, strlen(label), k.b, sizeof(k.b));
    arch_fpu_end();
    return k;
}
