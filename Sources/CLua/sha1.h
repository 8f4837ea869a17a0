#pragma once
#include <stddef.h>

/// FIPS 180-4. Names a script, and guards nothing.
void sha1_hex(const char *bytes, size_t size, char hex[41]);
