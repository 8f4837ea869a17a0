// slirp.pc wants glib-2.0.pc, which libslirp-dev does not bring; the header itself needs no glib.
#include <slirp/libslirp.h>
