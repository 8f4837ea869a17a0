// Theory of operation
//
//   One Lua state for the life of the process. What Redis's scripts may use is gathered in a table of
//   globals that no script can change: scripts run with an empty table for an environment, whose metatable
//   reads from that table and refuses to write, and each library stands behind such a table too. So nothing
//   that one script does can be seen by the next.
//
//   A hook counts instructions. When a script has used up what it may, the hook raises an error, and from
//   then on at every instruction, so that a pcall around an endless loop doesn't hold it back.

#define _GNU_SOURCE
#include "include/CLua.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "channel.h"
#include "lua_libraries.h"
#include "lua_msgpack.h"
#include "lua_protection.h"
#include "lua_values.h"
#include "sha1.h"

static struct {
    lua_State *lua;
    int channel;
    /// Reference to the table of globals, to the environment of scripts, and to the message handler.
    int globals, environment, handler;
    uint64_t limit, left;
    int client3, script3;
    /// The compiled script of the last request, its source and its hash.
    int chunk;
    struct buffer source;
    char sha[41];
} host = {.channel = -1};

enum { HOOK_STEP = 10000 };

// MARK: The `redis` library

/// Replaces what is on the stack by a table {err = text}.
static int push_error(lua_State *lua, const char *text) {
    lua_createtable(lua, 0, 1);
    lua_pushstring(lua, text);
    lua_setfield(lua, -2, "err");
    return 1;
}

static int raise_error(lua_State *lua, const char *text) {
    push_error(lua, text);
    return lua_error(lua);
}

/// The arguments as a request. 0 where one is neither string nor number.
static int append_arguments(lua_State *lua, struct buffer *out) {
    int count = lua_gettop(lua);
    buffer_append_text(out, "*%d\r\n", count);
    for (int index = 1; index <= count; index++) {
        char text[64];
        const char *bytes = text;
        size_t size;
        if (lua_type(lua, index) == LUA_TNUMBER) {
            size = (size_t)snprintf(text, sizeof text, "%.17g", lua_tonumber(lua, index));
        } else if (lua_type(lua, index) == LUA_TSTRING) {
            bytes = lua_tolstring(lua, index, &size);
        } else {
            return 0;
        }
        buffer_append_text(out, "$%zu\r\n", size);
        buffer_append(out, bytes, size);
        buffer_append(out, "\r\n", 2);
    }
    return 1;
}

static int call(lua_State *lua, int isProtected) {
    static struct buffer request;
    buffer_clear(&request);
    char flags = (char)(isProtected | host.script3 << 1);
    buffer_append(&request, &flags, 1);
    const char *problem = NULL;
    if (lua_gettop(lua) == 0) {
        problem = "ERR Please specify at least one argument for this redis.call() call";
    } else if (!append_arguments(lua, &request)) {
        problem = "ERR Lua redis lib command arguments must be strings or integers";
    }
    if (problem != NULL) return isProtected ? push_error(lua, problem) : raise_error(lua, problem);
    channel_send(host.channel, 'Q', &request);
    // The arguments may be as many as fit, and the reply needs room too.
    lua_settop(lua, 0);
    struct message answer;
    // Without its sidecar the process has nothing to do.
    if (!channel_receive(host.channel, &answer) || answer.kind != 'R') _exit(0);
    if (!push_reply(lua, answer.body, answer.size)) return raise_error(lua, "ERR the reply can't be read");
    if (!isProtected && answer.size > 0 && answer.body[0] == '-') return lua_error(lua);
    return 1;
}

static int redis_call(lua_State *lua) { return call(lua, 0); }
static int redis_pcall(lua_State *lua) { return call(lua, 1); }

/// {field = text}, with an error's code put before it where it has none.
static int push_single(lua_State *lua, const char *field) {
    if (lua_gettop(lua) != 1 || lua_type(lua, -1) != LUA_TSTRING)
        return push_error(lua, "ERR wrong number or type of arguments");
    size_t size;
    const char *text = lua_tolstring(lua, -1, &size);
    lua_createtable(lua, 0, 1);
    if (strcmp(field, "err") == 0 && size > 0 && text[0] == '-') lua_pushlstring(lua, text + 1, size - 1);
    else if (strcmp(field, "err") == 0 && memchr(text, ' ', size) == NULL) lua_pushfstring(lua, "ERR %s", text);
    else lua_pushvalue(lua, 1);
    lua_setfield(lua, -2, field);
    return 1;
}

static int redis_error_reply(lua_State *lua) { return push_single(lua, "err"); }
static int redis_status_reply(lua_State *lua) { return push_single(lua, "ok"); }

static int redis_log(lua_State *lua) {
    if (lua_gettop(lua) < 2) return raise_error(lua, "ERR redis.log() requires two arguments or more.");
    if (lua_type(lua, 1) != LUA_TNUMBER)
        return raise_error(lua, "ERR First argument must be a number (log level).");
    int level = (int)lua_tonumber(lua, 1);
    if (level < 0 || level > 3) return raise_error(lua, "ERR Invalid log level.");
    struct buffer line = {0};
    char digit = (char)('0' + level);
    buffer_append(&line, &digit, 1);
    for (int index = 2; index <= lua_gettop(lua); index++) {
        size_t size;
        const char *text = lua_tolstring(lua, index, &size);
        if (text == NULL) continue;
        if (index > 2) buffer_append(&line, " ", 1);
        buffer_append(&line, text, size);
    }
    if (line.size > 1024) line.size = 1024;
    channel_send(host.channel, 'L', &line);
    free(line.bytes);
    return 0;
}

static int redis_setresp(lua_State *lua) {
    if (lua_gettop(lua) != 1) return raise_error(lua, "ERR redis.setresp() requires one argument.");
    lua_Integer version = luaL_checkinteger(lua, 1);
    if (version != 2 && version != 3) return raise_error(lua, "ERR RESP version must be 2 or 3.");
    host.script3 = version == 3;
    return 0;
}

/// Effects are replicated in any case, so that there is nothing to choose.
static int redis_true(lua_State *lua) {
    lua_pushboolean(lua, 1);
    return 1;
}

static int redis_nothing(lua_State *lua) {
    (void)lua;
    return 0;
}

static int redis_sha1hex(lua_State *lua) {
    if (lua_gettop(lua) != 1) return raise_error(lua, "ERR wrong number of arguments");
    size_t size;
    const char *bytes = luaL_checklstring(lua, 1, &size);
    char hex[41];
    sha1_hex(bytes, size, hex);
    lua_pushlstring(lua, hex, 40);
    return 1;
}

// MARK: The environment

static void add_number(lua_State *lua, const char *name, int number) {
    lua_pushinteger(lua, number);
    lua_setfield(lua, -2, name);
}

static void open_redis(lua_State *lua) {
    static const luaL_Reg functions[] = {
        {"call", redis_call}, {"pcall", redis_pcall}, {"error_reply", redis_error_reply},
        {"status_reply", redis_status_reply}, {"sha1hex", redis_sha1hex}, {"log", redis_log},
        {"setresp", redis_setresp}, {"replicate_commands", redis_true}, {"set_repl", redis_nothing},
        {"breakpoint", redis_nothing}, {"debug", redis_nothing}, {NULL, NULL},
    };
    luaL_register(lua, "redis", functions);
    add_number(lua, "LOG_DEBUG", 0);
    add_number(lua, "LOG_VERBOSE", 1);
    add_number(lua, "LOG_NOTICE", 2);
    add_number(lua, "LOG_WARNING", 3);
    add_number(lua, "REPL_NONE", 0);
    add_number(lua, "REPL_SLAVE", 1);
    add_number(lua, "REPL_REPLICA", 1);
    add_number(lua, "REPL_AOF", 2);
    add_number(lua, "REPL_ALL", 3);
    lua_pushstring(lua, "7.0.15");
    lua_setfield(lua, -2, "REDIS_VERSION");
    add_number(lua, "REDIS_VERSION_NUM", 0x0007000F);
    lua_settop(lua, -2);
}

static void open_library(lua_State *lua, lua_CFunction open, const char *name) {
    lua_pushcclosure(lua, open, 0);
    lua_pushstring(lua, name);
    lua_call(lua, 1, 0);
}

static const char *const allowed[] = {
    "assert", "error", "getmetatable", "ipairs", "next", "pairs", "pcall", "rawequal", "rawget",
    "select", "tonumber", "tostring", "type", "unpack", "xpcall", "_VERSION", "collectgarbage",
};
static const char *const libraries[] = {"string", "table", "math", "redis", "bit", "struct", "cjson",
                                       "cmsgpack"};

static void build_environment(lua_State *lua) {
    lua_createtable(lua, 0, 40);
    for (size_t index = 0; index < sizeof allowed / sizeof *allowed; index++) {
        lua_getfield(lua, LUA_GLOBALSINDEX, allowed[index]);
        lua_setfield(lua, -2, allowed[index]);
    }
    lua_pushcclosure(lua, base_loadstring, 0);
    lua_setfield(lua, -2, "loadstring");
    lua_pushcclosure(lua, base_rawset, 0);
    lua_setfield(lua, -2, "rawset");
    lua_pushcclosure(lua, base_setmetatable, 0);
    lua_setfield(lua, -2, "setmetatable");
    for (size_t index = 0; index < sizeof libraries / sizeof *libraries; index++) {
        lua_getfield(lua, LUA_GLOBALSINDEX, libraries[index]);
        if (lua_type(lua, -1) != LUA_TTABLE) {
            lua_settop(lua, -2);
            continue;
        }
        make_read_only(lua, 0);
        lua_setfield(lua, -2, libraries[index]);
    }
    lua_pushvalue(lua, -1);
    host.globals = luaL_ref(lua, LUA_REGISTRYINDEX);
    make_read_only(lua, 1);
    lua_pushvalue(lua, -1);
    host.environment = luaL_ref(lua, LUA_REGISTRYINDEX);
    // A string's methods must not lead to the library itself.
    lua_pushstring(lua, "");
    lua_getmetatable(lua, -1);
    lua_pushboolean(lua, 0);
    lua_setfield(lua, -2, "__metatable");
    lua_settop(lua, -3);
    // What `loadstring` compiles, and `_G`, see the same.
    lua_pushvalue(lua, -1);
    lua_replace(lua, LUA_GLOBALSINDEX);
    lua_rawgeti(lua, LUA_REGISTRYINDEX, host.globals);
    lua_pushvalue(lua, -2);
    lua_setfield(lua, -2, "_G");
    lua_settop(lua, 0);
}

/// Turns whatever was raised into a table with its place.
static int handle_error(lua_State *lua) {
    if (lua_type(lua, -1) != LUA_TTABLE) {
        const char *text = lua_tolstring(lua, -1, NULL);
        lua_pushfstring(lua, "ERR %s", text ? text : "unknown error");
        lua_createtable(lua, 0, 3);
        lua_pushvalue(lua, -2);
        lua_setfield(lua, -2, "err");
    }
    lua_Debug place;
    for (int level = 1; level <= 2 && lua_getstack(lua, level, &place); level++) {
        lua_getinfo(lua, "Sl", &place);
        if (strcmp(place.what, "C") == 0) continue;
        lua_pushfstring(lua, "%s:%d", place.source, place.currentline);
        lua_setfield(lua, -2, "place");
        break;
    }
    return 1;
}

static void count_instructions(lua_State *lua, lua_Debug *unused) {
    (void)unused;
    if (host.left > HOOK_STEP) {
        host.left -= HOOK_STEP;
        return;
    }
    host.left = 0;
    lua_sethook(lua, count_instructions, LUA_MASKCOUNT, 1);
    luaL_error(lua, "the script has run for more than %f instructions and was ended", (double)host.limit);
}

// MARK: Requests

static void send_error(lua_State *lua) {
    struct buffer out = {0};
    const char *text = NULL, *place = NULL;
    size_t size = 0;
    if (lua_type(lua, -1) == LUA_TTABLE) {
        lua_getfield(lua, -1, "err");
        lua_getfield(lua, -2, "place");
        text = lua_tolstring(lua, -2, &size);
        place = lua_tolstring(lua, -1, NULL);
    } else {
        // Lua's own, which the handler hasn't seen: there was no memory for it.
        text = lua_tolstring(lua, -1, &size);
        buffer_append_text(&out, "ERR ");
    }
    if (text == NULL) text = "ERR unknown error", size = strlen(text);
    buffer_append(&out, text, size);
    if (place != NULL) buffer_append_text(&out, " script: %s, on %s.", host.sha, place);
    channel_send(host.channel, 'X', &out);
    free(out.bytes);
}

/// Leaves the compiled script on the stack, or the error.
static int compile(lua_State *lua, const char *source, size_t size) {
    // A first line #!lua names the engine; its end stays, so that lines keep their numbers.
    if (size >= 2 && source[0] == '#' && source[1] == '!') {
        const char *end = memchr(source, '\n', size);
        size_t skipped = end == NULL ? size : (size_t)(end - source);
        source += skipped;
        size -= skipped;
    }
    if (size > 0 && source[0] == LUA_SIGNATURE[0]) {
        lua_pushstring(lua, "compiled scripts aren't taken");
        return 0;
    }
    return luaL_loadbuffer(lua, source, size, "@user_script") == 0;
}

static void send_compile_error(lua_State *lua) {
    struct buffer out = {0};
    const char *text = lua_tolstring(lua, -1, NULL);
    buffer_append_text(&out, "ERR Error compiling script (new function): %s", text ? text : "unknown error");
    channel_send(host.channel, 'X', &out);
    free(out.bytes);
}

static void serve_compile(lua_State *lua, struct message *message) {
    if (!compile(lua, message->body, message->size)) return send_compile_error(lua);
    channel_send(host.channel, 'K', &(struct buffer){0});
}

/// A list of strings as the global `name`. 0 where the message is too short.
static int take_list(lua_State *lua, struct message *message, const char *name) {
    uint32_t count;
    if (!message_number(message, &count)) return 0;
    lua_createtable(lua, count < 4096 ? (int)count : 4096, 0);
    for (uint32_t index = 1; index <= count; index++) {
        const char *bytes;
        size_t size;
        if (!message_string(message, &bytes, &size)) return 0;
        lua_pushlstring(lua, bytes, size);
        lua_rawseti(lua, -2, (int)index);
    }
    lua_setfield(lua, -2, name);
    return 1;
}

/// Pushes the script, compiled; the last one is kept, since most are run again and again.
static int push_script(lua_State *lua, const char *source, size_t size) {
    if (host.chunk != 0 && host.source.size == size && memcmp(host.source.bytes, source, size) == 0) {
        lua_rawgeti(lua, LUA_REGISTRYINDEX, host.chunk);
        return 1;
    }
    if (!compile(lua, source, size)) return 0;
    if (host.chunk != 0) luaL_unref(lua, LUA_REGISTRYINDEX, host.chunk);
    lua_pushvalue(lua, -1);
    host.chunk = luaL_ref(lua, LUA_REGISTRYINDEX);
    buffer_clear(&host.source);
    buffer_append(&host.source, source, size);
    sha1_hex(source, size, host.sha);
    return 1;
}

static int serve_run(lua_State *lua, struct message *message) {
    const char *source;
    size_t size;
    if (message->size < 1) return 0;
    host.client3 = message->body[0] & 1;
    host.script3 = 0;
    message->body++;
    message->size--;
    if (!message_string(message, &source, &size)) return 0;
    lua_rawgeti(lua, LUA_REGISTRYINDEX, host.handler);
    lua_rawgeti(lua, LUA_REGISTRYINDEX, host.globals);
    if (!take_list(lua, message, "KEYS") || !take_list(lua, message, "ARGV")) return 0;
    lua_settop(lua, -2);
    if (!push_script(lua, source, size)) {
        send_compile_error(lua);
        return 1;
    }
    lua_rawgeti(lua, LUA_REGISTRYINDEX, host.environment);
    lua_setfenv(lua, -2);
    host.left = host.limit;
    lua_gc(lua, LUA_GCRESTART, 0);
    lua_sethook(lua, count_instructions, LUA_MASKCOUNT, HOOK_STEP);
    int result = lua_pcall(lua, 0, 1, 1);
    lua_sethook(lua, NULL, 0, 0);
    if (result != 0) {
        send_error(lua);
        return 1;
    }
    static struct buffer out;
    buffer_clear(&out);
    append_value(lua, &out, host.client3, host.script3);
    channel_send(host.channel, 'D', &out);
    return 1;
}

const char *mesh_lua_load(void) {
    const char *problem = lua_api_load();
    if (problem != NULL) return problem;
    lua_State *lua = luaL_newstate();
    if (lua == NULL) return "Lua finds no memory";
    open_library(lua, luaopen_base, "");
    open_library(lua, luaopen_string, "string");
    open_library(lua, luaopen_table, "table");
    open_library(lua, luaopen_math, "math");
    lua_getfield(lua, LUA_GLOBALSINDEX, "math");
    lua_pushcclosure(lua, math_random, 0);
    lua_setfield(lua, -2, "random");
    lua_pushcclosure(lua, math_randomseed, 0);
    lua_setfield(lua, -2, "randomseed");
    lua_settop(lua, -2);
    open_redis(lua);
    lua_open_bit(lua);
    lua_open_struct(lua);
    lua_open_msgpack(lua);
    lua_settop(lua, 0);
    if (lua_api.luaopen_cjson != NULL) {
        lua_pushcclosure(lua, lua_api.luaopen_cjson, 0);
        lua_call(lua, 0, 1);
        lua_setfield(lua, LUA_GLOBALSINDEX, "cjson");
    }
    build_environment(lua);
    seed_random_anew();
    lua_pushcclosure(lua, handle_error, 0);
    host.handler = luaL_ref(lua, LUA_REGISTRYINDEX);
    host.lua = lua;
    return NULL;
}

void mesh_lua_refuse(int channel, const char *reason) {
    struct message message;
    if (!channel_receive(channel, &message)) return;
    struct buffer out = {0};
    buffer_append(&out, reason, strlen(reason));
    channel_send(channel, 'F', &out);
    free(out.bytes);
}

int mesh_lua_serve(int channel, uint64_t instructions) {
    host.channel = channel;
    host.limit = instructions;
    struct message message;
    int requests = 0;
    while (channel_receive(channel, &message)) {
        lua_settop(host.lua, 0);
        switch (message.kind) {
        case 'C': serve_compile(host.lua, &message); break;
        case 'E':
            if (!serve_run(host.lua, &message)) return 1;
            break;
        default: return 1;
        }
        lua_settop(host.lua, 0);
        if (++requests % 64 == 0) lua_gc(host.lua, LUA_GCSTEP, 100);
    }
    return 0;
}
