#include "lua_protection.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>

static unsigned short random_state[3];

int math_random(lua_State *lua) {
    double dice = (double)(nrand48(random_state) % 2147483647L) / 2147483647.0;
    switch (lua_gettop(lua)) {
    case 0: lua_pushnumber(lua, dice); return 1;
    case 1: {
        lua_Integer high = luaL_checkinteger(lua, 1);
        if (high < 1) return luaL_argerror(lua, 1, "interval is empty");
        lua_pushnumber(lua, (double)(int64_t)(dice * (double)high) + 1);
        return 1;
    }
    case 2: {
        lua_Integer low = luaL_checkinteger(lua, 1), high = luaL_checkinteger(lua, 2);
        if (low > high) return luaL_argerror(lua, 2, "interval is empty");
        lua_pushnumber(lua, (double)(int64_t)(dice * ((double)high - (double)low + 1)) + (double)low);
        return 1;
    }
    default: return luaL_error(lua, "wrong number of arguments");
    }
}

void seed_random(uint32_t number) {
    random_state[0] = 0x330E;
    random_state[1] = (unsigned short)number;
    random_state[2] = (unsigned short)(number >> 16);
}

/// Another sequence in each process, by the bytes that the kernel gave it.
void seed_random_anew(void) {
    uint32_t number = 0;
    const void *bytes = (const void *)getauxval(AT_RANDOM);
    if (bytes != NULL) memcpy(&number, bytes, sizeof number);
    seed_random(number);
}

int math_randomseed(lua_State *lua) {
    seed_random((uint32_t)luaL_checkinteger(lua, 1));
    return 0;
}

/// Source text alone: bytecode isn't checked by Lua's machine.
int base_loadstring(lua_State *lua) {
    size_t size;
    const char *source = luaL_checklstring(lua, 1, &size);
    const char *name = lua_gettop(lua) > 1 ? luaL_checklstring(lua, 2, NULL) : source;
    if (size > 0 && source[0] == LUA_SIGNATURE[0]) {
        lua_pushnil(lua);
        lua_pushstring(lua, "compiled scripts aren't taken");
        return 2;
    }
    if (luaL_loadbuffer(lua, source, size, name) == 0) return 1;
    lua_pushnil(lua);
    lua_insert(lua, -2);
    return 2;
}

static int unknown_global(lua_State *lua) {
    const char *name = lua_tolstring(lua, 2, NULL);
    if (name != NULL && strcmp(name, "cjson") == 0)
        return luaL_error(lua, "no cjson without its library: install Debian's lua-cjson");
    return luaL_error(lua, "Script attempted to access nonexistent global variable '%s'", name ? name : "?");
}

static int read_only(lua_State *lua) { return luaL_error(lua, "Attempt to modify a readonly table"); }

/// 1 where the table at `index` is one that scripts share.
static int is_read_only(lua_State *lua, int index) {
    if (!lua_getmetatable(lua, index)) return 0;
    lua_getfield(lua, -1, "__newindex");
    int is = lua_tocfunction(lua, -1) == read_only;
    lua_settop(lua, -3);
    return is;
}

/// As Lua's own, but for the tables that scripts share.
int base_rawset(lua_State *lua) {
    if (lua_type(lua, 1) != LUA_TTABLE || lua_gettop(lua) < 3)
        return luaL_error(lua, "rawset wants a table, a key and a value");
    if (is_read_only(lua, 1)) return read_only(lua);
    lua_settop(lua, 3);
    lua_rawset(lua, 1);
    return 1;
}

/// As Lua's own, but for the tables that scripts share.
int base_setmetatable(lua_State *lua) {
    if (lua_type(lua, 1) != LUA_TTABLE) return luaL_argerror(lua, 1, "table expected");
    if (lua_type(lua, 2) != LUA_TTABLE && lua_type(lua, 2) != LUA_TNIL)
        return luaL_argerror(lua, 2, "nil or table expected");
    if (is_read_only(lua, 1)) return read_only(lua);
    lua_settop(lua, 2);
    if (lua_getmetatable(lua, 1)) {
        lua_pushstring(lua, "__metatable");
        lua_rawget(lua, -2);
        if (lua_type(lua, -1) != LUA_TNIL) return luaL_error(lua, "cannot change a protected metatable");
    }
    lua_settop(lua, 2);
    lua_setmetatable(lua, 1);
    return 1;
}

/// Pushes an empty table that can't be written to.
static void push_nothing(lua_State *lua) {
    lua_createtable(lua, 0, 0);
    lua_createtable(lua, 0, 2);
    lua_pushcclosure(lua, read_only, 0);
    lua_setfield(lua, -2, "__newindex");
    lua_pushboolean(lua, 0);
    lua_setfield(lua, -2, "__metatable");
    lua_setmetatable(lua, -2);
}

/// Puts an empty table in front of the one on top: it reads through, and refuses to write.
void make_read_only(lua_State *lua, int isGlobals) {
    lua_createtable(lua, 0, 0);
    lua_createtable(lua, 0, 3);
    if (isGlobals) {
        // Unknown names are looked up once more, in the globals' own metatable, where they are an error.
        lua_pushvalue(lua, -3);
        lua_createtable(lua, 0, 1);
        lua_pushcclosure(lua, unknown_global, 0);
        lua_setfield(lua, -2, "__index");
        lua_setmetatable(lua, -2);
        lua_settop(lua, -2);
    }
    lua_pushvalue(lua, -3);
    lua_setfield(lua, -2, "__index");
    lua_pushcclosure(lua, read_only, 0);
    lua_setfield(lua, -2, "__newindex");
    // What `getmetatable` answers.
    push_nothing(lua);
    lua_setfield(lua, -2, "__metatable");
    lua_setmetatable(lua, -2);
    lua_remove(lua, -2);
}
