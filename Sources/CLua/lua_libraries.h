// The libraries that Redis gives to scripts beside Lua's own.
#pragma once
#include "lua_api.h"

/// `bit`, on 32-bit numbers, as LuaJIT's. Leaves the table on the stack.
int lua_open_bit(lua_State *lua);

/// `struct`: pack, unpack and size, with the formats of Lua's struct library.
int lua_open_struct(lua_State *lua);
