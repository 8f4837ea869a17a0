// What of Lua's own library would differ from run to run, or let a script change what the next one sees.
#pragma once
#include "lua_api.h"

#include <stdint.h>

/// math.random, after `seed_random` the same each time.
int math_random(lua_State *lua);
int math_randomseed(lua_State *lua);
void seed_random(uint32_t number);
/// Another sequence in each process.
void seed_random_anew(void);

int base_loadstring(lua_State *lua);
int base_rawset(lua_State *lua);
int base_setmetatable(lua_State *lua);

/// Puts an empty table in front of the one on top: it reads through, and refuses to write. Of the globals a
/// name that isn't there is an error.
void make_read_only(lua_State *lua, int isGlobals);
