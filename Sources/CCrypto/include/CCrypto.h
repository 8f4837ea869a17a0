// ChaCha20-Poly1305 of records of 1 KiB and more, by OpenSSL's libcrypto, loaded at first use.
//
// Nothing links libcrypto: it is opened by name when the first large record comes, so a sidecar that
// never carries one doesn't pay for it, and a host without it still works (the caller uses libsodium).
#pragma once
#include <stddef.h>
#include <stdint.h>

#include "secrets.h"

/// One key, one direction. Not safe for two threads at once.
typedef struct mesh_bulk_cipher mesh_bulk_cipher;

/// Loads libcrypto once. 1 where it is usable, 0 where it isn't. Safe from any thread.
int mesh_bulk_load(void);

/// NULL where libcrypto is missing or out of memory.
mesh_bulk_cipher *mesh_bulk_new(const uint8_t key[32], int encrypting);
void mesh_bulk_free(mesh_bulk_cipher *cipher);

/// Writes the ciphertext of header and payload, joined, and then the 16-byte tag. The payload may lie
/// at out + header_count already. 1 on success.
int mesh_bulk_seal(mesh_bulk_cipher *cipher, const uint8_t nonce[12],
                   const void *ad, size_t ad_count, const void *header, size_t header_count,
                   const void *payload, size_t payload_count, void *out);

/// Writes count - 16 bytes; out may be in itself. 0 where the tag is wrong: out then holds garbage.
int mesh_bulk_open(mesh_bulk_cipher *cipher, const uint8_t nonce[12],
                   const void *ad, size_t ad_count, const void *in, size_t count, void *out);
