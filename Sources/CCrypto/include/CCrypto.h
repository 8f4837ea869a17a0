// ChaCha20-Poly1305 of records of 1 KiB and more, by OpenSSL's libcrypto, loaded at first use.
#pragma once
#include <stddef.h>
#include <stdint.h>
