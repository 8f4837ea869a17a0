#include "CCrypto.h"

#include <dlfcn.h>
#include <limits.h>
#include <pthread.h>

// The few names of libcrypto.so.3 that are used, declared here: its ABI is stable within version 3, and
// so building needs none of its headers.
enum { ctrl_get_tag = 0x10, ctrl_set_tag = 0x11 };
static const uint64_t init_no_load_config = 0x80, init_no_atexit = 0x80000;

static struct {
    int (*init)(uint64_t, const void *);
    void *(*fetch)(void *, const char *, const char *);
    void *(*ctx_new)(void);
    void (*ctx_free)(void *);
    int (*cipher_init)(void *, const void *, const uint8_t *, const uint8_t *, int, const void *);
    int (*update)(void *, uint8_t *, int *, const uint8_t *, int);
    int (*final)(void *, uint8_t *, int *);
    int (*ctrl)(void *, int, int, void *);
} crypto;

static void *chacha_poly;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static int find(void *library, const char *name, void *slot) {
    void *symbol = dlsym(library, name);
    *(void **)slot = symbol;
    return symbol != NULL;
}

static void load(void) {
    void *library = dlopen("libcrypto.so.3", RTLD_NOW | RTLD_LOCAL);
    if (library == NULL) return;
    int found = find(library, "OPENSSL_init_crypto", &crypto.init)
        && find(library, "EVP_CIPHER_fetch", &crypto.fetch)
        && find(library, "EVP_CIPHER_CTX_new", &crypto.ctx_new)
        && find(library, "EVP_CIPHER_CTX_free", &crypto.ctx_free)
        && find(library, "EVP_CipherInit_ex2", &crypto.cipher_init)
        && find(library, "EVP_CipherUpdate", &crypto.update)
        && find(library, "EVP_CipherFinal_ex", &crypto.final)
        && find(library, "EVP_CIPHER_CTX_ctrl", &crypto.ctrl);
    // No openssl.cnf: a file of the host must not choose the provider that sees the keys.
    if (!found || !crypto.init(init_no_load_config | init_no_atexit, NULL)) return;
    chacha_poly = crypto.fetch(NULL, "ChaCha20-Poly1305", NULL);
}

int mesh_bulk_load(void) {
    pthread_once(&once, load);
    return chacha_poly != NULL;
}

mesh_bulk_cipher *mesh_bulk_new(const uint8_t key[32], int encrypting) {
    if (!mesh_bulk_load()) return NULL;
    void *context = crypto.ctx_new();
    if (context == NULL) return NULL;
    if (!crypto.cipher_init(context, chacha_poly, key, NULL, encrypting, NULL)) {
        crypto.ctx_free(context);
        return NULL;
    }
    return context;
}

// libcrypto clears the key schedule in it.
void mesh_bulk_free(mesh_bulk_cipher *cipher) {
    if (cipher != NULL) crypto.ctx_free(cipher);
}

static int update(void *context, uint8_t *out, const void *in, size_t count) {
    int written = 0;
    if (count == 0) return 1;
    if (count > INT_MAX) return 0;
    return crypto.update(context, out, &written, in, (int)count);
}

int mesh_bulk_seal(mesh_bulk_cipher *cipher, const uint8_t nonce[12],
                   const void *ad, size_t ad_count, const void *header, size_t header_count,
                   const void *payload, size_t payload_count, void *out) {
    uint8_t *cursor = out;
    int written = 0;
    return crypto.cipher_init(cipher, NULL, NULL, nonce, -1, NULL)
        && update(cipher, NULL, ad, ad_count)
        && update(cipher, cursor, header, header_count)
        && update(cipher, cursor + header_count, payload, payload_count)
        && crypto.final(cipher, cursor + header_count + payload_count, &written)
        && crypto.ctrl(cipher, ctrl_get_tag, 16, cursor + header_count + payload_count);
}

int mesh_bulk_open(mesh_bulk_cipher *cipher, const uint8_t nonce[12],
                   const void *ad, size_t ad_count, const void *in, size_t count, void *out) {
    if (count < 16) return 0;
    size_t text = count - 16;
    int written = 0;
    uint8_t tag[16], rest[16];
    for (int i = 0; i < 16; i++) tag[i] = ((const uint8_t *)in)[text + i];
    return crypto.cipher_init(cipher, NULL, NULL, nonce, -1, NULL)
        && crypto.ctrl(cipher, ctrl_set_tag, 16, tag)
        && update(cipher, NULL, ad, ad_count)
        && update(cipher, out, in, text)
        && crypto.final(cipher, rest, &written) > 0;
}
