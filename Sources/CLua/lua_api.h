// liblua5.1's functions as pointers, so that the library is loaded and not linked: a sidecar that never
// meets a script pays nothing for it.
#pragma once
#include <lua5.1/lauxlib.h>
#include <lua5.1/lua.h>
#include <lua5.1/lualib.h>

#define LUA_FUNCTIONS(X)                                                                                     \
    X(luaL_argerror) X(luaL_checkinteger) X(luaL_checklstring) X(luaL_checknumber) X(luaL_checkoption)       \
    X(luaL_error) X(luaL_loadbuffer) X(luaL_newstate) X(luaL_optinteger) X(luaL_ref) X(luaL_register)        \
    X(luaL_unref) X(luaL_where) X(lua_atpanic) X(lua_call) X(lua_checkstack) X(lua_close)                    \
    X(lua_createtable) X(lua_error) X(lua_gc) X(lua_getfield) X(lua_getinfo) X(lua_getmetatable)             \
    X(lua_getstack) X(lua_gettable) X(lua_gettop) X(lua_insert) X(lua_isnumber) X(lua_isstring)              \
    X(lua_newuserdata) X(lua_next) X(lua_objlen) X(lua_pcall) X(lua_pushboolean) X(lua_pushcclosure)         \
    X(lua_pushfstring) X(lua_pushinteger) X(lua_pushlstring) X(lua_pushnil) X(lua_pushnumber)                \
    X(lua_pushstring) X(lua_pushvalue) X(lua_rawequal) X(lua_rawget) X(lua_rawgeti) X(lua_rawset)            \
    X(lua_rawseti) X(lua_remove) X(lua_replace) X(lua_setfenv) X(lua_setfield) X(lua_sethook)                \
    X(lua_setmetatable) X(lua_settable) X(lua_settop) X(lua_toboolean) X(lua_tocfunction)                    \
    X(lua_tointeger) X(lua_tolstring) X(lua_tonumber) X(lua_type) X(lua_typename) X(luaopen_base)            \
    X(luaopen_math) X(luaopen_string) X(luaopen_table)

struct lua_api {
#define X(name) __typeof__(&name) name;
    LUA_FUNCTIONS(X)
#undef X
    /// Nil where lua-cjson isn't installed.
    lua_CFunction luaopen_cjson;
};

extern struct lua_api lua_api;

/// NULL, or what can't be loaded.
const char *lua_api_load(void);

#ifndef LUA_API_AS_DECLARED
#define lua_atpanic lua_api.lua_atpanic
#define lua_call lua_api.lua_call
#define lua_checkstack lua_api.lua_checkstack
#define lua_close lua_api.lua_close
#define lua_createtable lua_api.lua_createtable
#define lua_error lua_api.lua_error
#define lua_gc lua_api.lua_gc
#define lua_getfield lua_api.lua_getfield
#define lua_getinfo lua_api.lua_getinfo
#define lua_getmetatable lua_api.lua_getmetatable
#define lua_getstack lua_api.lua_getstack
#define lua_gettop lua_api.lua_gettop
#define lua_insert lua_api.lua_insert
#define lua_isnumber lua_api.lua_isnumber
#define lua_isstring lua_api.lua_isstring
#define lua_newuserdata lua_api.lua_newuserdata
#define lua_next lua_api.lua_next
#define lua_objlen lua_api.lua_objlen
#define lua_pcall lua_api.lua_pcall
#define lua_pushboolean lua_api.lua_pushboolean
#define lua_pushcclosure lua_api.lua_pushcclosure
#define lua_pushfstring lua_api.lua_pushfstring
#define lua_pushinteger lua_api.lua_pushinteger
#define lua_pushlstring lua_api.lua_pushlstring
#define lua_pushnil lua_api.lua_pushnil
#define lua_pushnumber lua_api.lua_pushnumber
#define lua_pushstring lua_api.lua_pushstring
#define lua_pushvalue lua_api.lua_pushvalue
#define lua_rawequal lua_api.lua_rawequal
#define lua_rawget lua_api.lua_rawget
#define lua_rawgeti lua_api.lua_rawgeti
#define lua_rawset lua_api.lua_rawset
#define lua_rawseti lua_api.lua_rawseti
#define lua_remove lua_api.lua_remove
#define lua_replace lua_api.lua_replace
#define lua_setfield lua_api.lua_setfield
#define lua_sethook lua_api.lua_sethook
#define lua_setfenv lua_api.lua_setfenv
#define lua_setmetatable lua_api.lua_setmetatable
#define lua_settable lua_api.lua_settable
#define lua_gettable lua_api.lua_gettable
#define lua_settop lua_api.lua_settop
#define lua_toboolean lua_api.lua_toboolean
#define lua_tocfunction lua_api.lua_tocfunction
#define lua_tointeger lua_api.lua_tointeger
#define lua_tolstring lua_api.lua_tolstring
#define lua_tonumber lua_api.lua_tonumber
#define lua_type lua_api.lua_type
#define lua_typename lua_api.lua_typename
#define luaL_argerror lua_api.luaL_argerror
#define luaL_checkinteger lua_api.luaL_checkinteger
#define luaL_checklstring lua_api.luaL_checklstring
#define luaL_checknumber lua_api.luaL_checknumber
#define luaL_error lua_api.luaL_error
#define luaL_loadbuffer lua_api.luaL_loadbuffer
#define luaL_newstate lua_api.luaL_newstate
#define luaL_optinteger lua_api.luaL_optinteger
#define luaL_ref lua_api.luaL_ref
#define luaL_register lua_api.luaL_register
#define luaL_unref lua_api.luaL_unref
#define luaL_where lua_api.luaL_where
#define luaopen_base lua_api.luaopen_base
#define luaopen_math lua_api.luaopen_math
#define luaopen_string lua_api.luaopen_string
#define luaopen_table lua_api.luaopen_table
#endif
