// Memory for keys: small slots in pages that are never swapped out and never dumped.
#pragma once
#include <stddef.h>

/// What a slot holds at most; larger secrets lie in ordinary memory.
enum { MESH_SECRET_MAXIMUM = 64 };

/// `size` bytes of zeros, aligned to 16. Ends the process where there is no memory at all. Safe from any
/// thread.
void *mesh_secret_take(size_t size);

/// Overwrites the bytes with zeros, and gives them back. `size` is the one they were taken with.
void mesh_secret_give(void *secret, size_t size);

/// Bytes of pages that are locked, and of those that the limit of locked memory left unlocked.
void mesh_secret_pages(size_t *locked, size_t *unlocked);
