// `cmsgpack`: MessagePack (msgpack.org), as Redis gives it to scripts.
#pragma once
#include "lua_api.h"

/// pack, unpack, unpack_one and unpack_limit. Leaves the table on the stack.
int lua_open_msgpack(lua_State *lua);
