#define _GNU_SOURCE
#include "secrets.h"

#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

// A page of slots of one size. Its head lies at its start, so that a slot finds it by its address. Pages that
// can't be touched lie before and behind it: nothing runs into it from a neighbour. A session has two keys,
// so that a page serves 63 of them; a page a key would soon exceed what an ordinary user may lock.
struct page {
    struct page *next, *previous;
    /// The first free slot, which holds the address of the next.
    void **free;
    size_t used;
    int is_locked;
};

enum { HEAD = 64 };
_Static_assert(sizeof(struct page) <= HEAD, "slots begin behind the head");

static const size_t sizes[] = {32, MESH_SECRET_MAXIMUM};
enum { KINDS = sizeof sizes / sizeof *sizes };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
/// Pages with a free slot, of each size.
static struct page *open_pages[KINDS];
static size_t locked_bytes, unlocked_bytes;

static size_t page_size(void) { return (size_t)sysconf(_SC_PAGESIZE); }

static size_t kind_of(size_t size) { return size <= sizes[0] ? 0 : 1; }

static void push(size_t kind, struct page *page) {
    page->previous = NULL;
    page->next = open_pages[kind];
    if (page->next != NULL) page->next->previous = page;
    open_pages[kind] = page;
}

static void unlink_page(size_t kind, struct page *page) {
    if (page->next != NULL) page->next->previous = page->previous;
    if (page->previous != NULL) {
        page->previous->next = page->next;
    } else {
        open_pages[kind] = page->next;
    }
}

static struct page *make_page(size_t kind) {
    size_t size = page_size();
    uint8_t *guarded = mmap(NULL, 3 * size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (guarded == MAP_FAILED || mprotect(guarded + size, size, PROT_READ | PROT_WRITE) < 0) abort();
    struct page *page = (struct page *)(guarded + size);
    page->is_locked = mlock(page, size) == 0;
    madvise(page, size, MADV_DONTDUMP);
    *(page->is_locked ? &locked_bytes : &unlocked_bytes) += size;
    for (size_t at = HEAD; at + sizes[kind] <= size; at += sizes[kind]) {
        void **slot = (void **)((uint8_t *)page + at);
        *slot = page->free;
        page->free = slot;
    }
    push(kind, page);
    return page;
}

static void end_page(size_t kind, struct page *page) {
    size_t size = page_size();
    unlink_page(kind, page);
    *(page->is_locked ? &locked_bytes : &unlocked_bytes) -= size;
    munmap((uint8_t *)page - size, 3 * size);
}

void *mesh_secret_take(size_t size) {
    if (size > MESH_SECRET_MAXIMUM) {
        void *large = calloc(1, size);
        if (large == NULL) abort();
        return large;
    }
    size_t kind = kind_of(size);
    pthread_mutex_lock(&lock);
    struct page *page = open_pages[kind] != NULL ? open_pages[kind] : make_page(kind);
    void **slot = page->free;
    page->free = *slot;
    page->used++;
    if (page->free == NULL) unlink_page(kind, page);
    pthread_mutex_unlock(&lock);
    *slot = NULL;
    return slot;
}

void mesh_secret_give(void *secret, size_t size) {
    explicit_bzero(secret, size);
    if (size > MESH_SECRET_MAXIMUM) {
        free(secret);
        return;
    }
    size_t kind = kind_of(size);
    struct page *page = (struct page *)((uintptr_t)secret & ~(uintptr_t)(page_size() - 1));
    pthread_mutex_lock(&lock);
    if (page->free == NULL) push(kind, page);
    *(void **)secret = page->free;
    page->free = secret;
    page->used--;
    // One free page stays, for the next key.
    int is_last = open_pages[kind] == page && page->next == NULL;
    if (page->used == 0 && !is_last) end_page(kind, page);
    pthread_mutex_unlock(&lock);
}

void mesh_secret_pages(size_t *locked, size_t *unlocked) {
    pthread_mutex_lock(&lock);
    *locked = locked_bytes;
    *unlocked = unlocked_bytes;
    pthread_mutex_unlock(&lock);
}
