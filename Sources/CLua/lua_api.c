#define LUA_API_AS_DECLARED
#include "lua_api.h"

#include <dlfcn.h>
#include <stddef.h>
#include <string.h>

struct lua_api lua_api;

static int find(void *library, const char *name, void *pointer, size_t size) {
    void *symbol = dlsym(library, name);
    memcpy(pointer, &symbol, size);
    return symbol != NULL;
}

const char *lua_api_load(void) {
    if (lua_api.luaL_newstate != NULL) return NULL;
    // Global, since cjson's own library takes Lua's functions from whoever has loaded them.
    void *library = dlopen("liblua5.1.so.0", RTLD_NOW | RTLD_GLOBAL);
    if (library == NULL) return "no scripts without Lua: install Debian's liblua5.1-0";
#define X(name)                                                                                              \
    if (!find(library, #name, &lua_api.name, sizeof lua_api.name)) return "liblua5.1.so.0 lacks " #name;
    LUA_FUNCTIONS(X)
#undef X
    void *cjson = dlopen("liblua5.1-cjson.so.0", RTLD_NOW);
    if (cjson != NULL) find(cjson, "luaopen_cjson", &lua_api.luaopen_cjson, sizeof lua_api.luaopen_cjson);
    return NULL;
}
