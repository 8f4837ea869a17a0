#include "sha1.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint32_t rotate(uint32_t word, int count) { return word << count | word >> (32 - count); }

static void sha1_block(uint32_t state[5], const unsigned char *block) {
    uint32_t words[80];
    for (int i = 0; i < 16; i++)
        words[i] = (uint32_t)block[4 * i] << 24 | (uint32_t)block[4 * i + 1] << 16
            | (uint32_t)block[4 * i + 2] << 8 | block[4 * i + 3];
    for (int i = 16; i < 80; i++)
        words[i] = rotate(words[i - 3] ^ words[i - 8] ^ words[i - 14] ^ words[i - 16], 1);
    uint32_t a = state[0], b = state[1], c = state[2], d = state[3], e = state[4];
    for (int i = 0; i < 80; i++) {
        uint32_t f = i < 20 ? (b & c) | (~b & d)
            : i < 40 ? b ^ c ^ d
            : i < 60 ? (b & c) | (b & d) | (c & d)
            : b ^ c ^ d;
        uint32_t k = i < 20 ? 0x5A827999 : i < 40 ? 0x6ED9EBA1 : i < 60 ? 0x8F1BBCDC : 0xCA62C1D6;
        uint32_t next = rotate(a, 5) + f + e + k + words[i];
        e = d, d = c, c = rotate(b, 30), b = a, a = next;
    }
    state[0] += a, state[1] += b, state[2] += c, state[3] += d, state[4] += e;
}

void sha1_hex(const char *bytes, size_t size, char hex[41]) {
    uint32_t state[5] = {0x67452301, 0xEFCDAB89, 0x98BADCFE, 0x10325476, 0xC3D2E1F0};
    size_t whole = size / 64 * 64;
    for (size_t offset = 0; offset < whole; offset += 64) sha1_block(state, (const unsigned char *)bytes + offset);
    unsigned char tail[128] = {0};
    memcpy(tail, bytes + whole, size - whole);
    tail[size - whole] = 0x80;
    size_t tailSize = size - whole < 56 ? 64 : 128;
    for (int i = 0; i < 8; i++) tail[tailSize - 1 - i] = (unsigned char)((uint64_t)size * 8 >> (8 * i));
    for (size_t offset = 0; offset < tailSize; offset += 64) sha1_block(state, tail + offset);
    for (int i = 0; i < 5; i++) snprintf(hex + 8 * i, 9, "%08x", state[i]);
}
