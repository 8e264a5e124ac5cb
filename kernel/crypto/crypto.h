/* SPDX-License-Identifier: BSD-2-Clause */
/* Message authentication and key derivation, by BearSSL's primitives. For threads: they use the SSE registers
 * (arch_fpu_begin), so they neither nest in other uses of them nor run where a thread must not be.
 *
 *     mac_*     HMAC-SHA-256 (RFC 2104, FIPS 180-4), the first 16 bytes of it
 *     key_*     HKDF with SHA-256 (RFC 5869) */
#pragma once
#include "kernel/types.h"

#define MAC_SIZE 16
#define KEY_SIZE 32

struct mac {
    u8 b[MAC_SIZE];
};
struct key {
    u8 b[KEY_SIZE];
};

/* Of two pieces, one behind the other; the second may be NULL with size 0. */
struct mac mac_of(const struct key *key, const void *data, size_t size, const void *more,
                  size_t more_size);
/* In a time that does not depend on where they differ. */
bool mac_matches(const struct mac *a, const struct mac *b);
/* A key for what `label` says, from a secret; salt may be anything that both sides know. */
struct key key_derive(const void *secret, size_t secret_size, const void *salt, size_t salt_size,
                      const char *label);
