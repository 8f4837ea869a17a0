#include "lua_values.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/// How deep a reply of ours nests at most; what a script returns is bounded by Lua's stack alone, as in Redis.
enum { DEPTH_MAXIMUM = 100 };

struct reader {
    const char *next;
    const char *end;
};

/// A line without its end; NULL where there is none.
static const char *read_line(struct reader *reader, size_t *size) {
    const char *line = reader->next;
    const char *end = memchr(line, '\r', (size_t)(reader->end - line));
    if (end == NULL || end + 1 >= reader->end || end[1] != '\n') return NULL;
    *size = (size_t)(end - line);
    reader->next = end + 2;
    return line;
}

static int push_value(lua_State *lua, struct reader *reader, int depth);

static void push_field(lua_State *lua, const char *name, const char *text, size_t size) {
    lua_createtable(lua, 0, 1);
    lua_pushlstring(lua, text, size);
    lua_setfield(lua, -2, name);
}

static int push_bulk(lua_State *lua, struct reader *reader, const char *line, int isVerbatim) {
    long long size = strtoll(line, NULL, 10);
    if (size < 0) {
        lua_pushboolean(lua, 0);
        return 1;
    }
    if (reader->end - reader->next < size + 2) return 0;
    const char *bytes = reader->next;
    reader->next += size + 2;
    if (!isVerbatim) {
        lua_pushlstring(lua, bytes, (size_t)size);
        return 1;
    }
    if (size < 4) return 0;
    lua_createtable(lua, 0, 1);
    push_field(lua, "string", bytes + 4, (size_t)size - 4);
    lua_pushlstring(lua, bytes, 3);
    lua_setfield(lua, -2, "format");
    lua_setfield(lua, -2, "verbatim_string");
    return 1;
}

static int push_array(lua_State *lua, struct reader *reader, long long count, int depth) {
    if (count < 0) {
        lua_pushboolean(lua, 0);
        return 1;
    }
    lua_createtable(lua, count < 1024 ? (int)count : 1024, 0);
    for (long long index = 1; index <= count; index++) {
        if (!push_value(lua, reader, depth + 1)) return 0;
        lua_rawseti(lua, -2, (int)index);
    }
    return 1;
}

/// A map's pairs, or a set's members with `true`, in a table under `name`.
static int push_named(lua_State *lua, struct reader *reader, const char *name, long long count, int depth) {
    int isMap = strcmp(name, "map") == 0;
    lua_createtable(lua, 0, 1);
    lua_createtable(lua, 0, 0);
    for (long long index = 0; index < count; index++) {
        if (!push_value(lua, reader, depth + 1)) return 0;
        if (isMap) {
            if (!push_value(lua, reader, depth + 1)) return 0;
        } else {
            lua_pushboolean(lua, 1);
        }
        lua_rawset(lua, -3);
    }
    lua_setfield(lua, -2, name);
    return 1;
}

static int push_value(lua_State *lua, struct reader *reader, int depth) {
    size_t size;
    const char *line = read_line(reader, &size);
    if (line == NULL || size == 0 || depth > DEPTH_MAXIMUM || !lua_checkstack(lua, 6)) return 0;
    const char *rest = line + 1;
    switch (line[0]) {
    case '+': push_field(lua, "ok", rest, size - 1); return 1;
    case '-': push_field(lua, "err", rest, size - 1); return 1;
    case ':': lua_pushnumber(lua, (lua_Number)strtoll(rest, NULL, 10)); return 1;
    case '$': return push_bulk(lua, reader, rest, 0);
    case '=': return push_bulk(lua, reader, rest, 1);
    case '*': return push_array(lua, reader, strtoll(rest, NULL, 10), depth);
    case '%': return push_named(lua, reader, "map", strtoll(rest, NULL, 10), depth);
    case '~': return push_named(lua, reader, "set", strtoll(rest, NULL, 10), depth);
    case '_': lua_pushnil(lua); return 1;
    case '#': lua_pushboolean(lua, rest[0] == 't'); return 1;
    case '(': push_field(lua, "big_number", rest, size - 1); return 1;
    case ',':
        lua_createtable(lua, 0, 1);
        lua_pushnumber(lua, strtod(rest, NULL));
        lua_setfield(lua, -2, "double");
        return 1;
    default: return 0;
    }
}

int push_reply(lua_State *lua, const char *bytes, size_t size) {
    struct reader reader = {bytes, bytes + size};
    int top = lua_gettop(lua);
    if (push_value(lua, &reader, 0)) return 1;
    lua_settop(lua, top);
    return 0;
}

// MARK: From Lua

static void append_bulk(struct buffer *out, const char *bytes, size_t size) {
    buffer_append_text(out, "$%zu\r\n", size);
    buffer_append(out, bytes, size);
    buffer_append(out, "\r\n", 2);
}

/// A line can't hold a line's end.
static void append_line(struct buffer *out, char kind, const char *text, size_t size) {
    buffer_append(out, &kind, 1);
    for (size_t index = 0; index < size; index++) {
        char byte = text[index] == '\r' || text[index] == '\n' ? ' ' : text[index];
        buffer_append(out, &byte, 1);
    }
    buffer_append(out, "\r\n", 2);
}

static void append_null(struct buffer *out, int client3) {
    if (client3) buffer_append(out, "_\r\n", 3);
    else buffer_append(out, "$-1\r\n", 5);
}

static void append_double(struct buffer *out, double number, int client3) {
    char text[64];
    if (isinf(number)) strcpy(text, number > 0 ? "inf" : "-inf");
    else snprintf(text, sizeof text, "%.17g", number);
    if (client3) buffer_append_text(out, ",%s\r\n", text);
    else append_bulk(out, text, strlen(text));
}

/// The pairs of the table at the top, or only its keys; pops it.
static void append_pairs(lua_State *lua, struct buffer *out, int isMap, int client3, int script3) {
    size_t count = 0;
    for (lua_pushnil(lua); lua_next(lua, -2) != 0; lua_settop(lua, -2)) count++;
    if (client3) buffer_append_text(out, "%c%zu\r\n", isMap ? '%' : '~', count);
    else buffer_append_text(out, "*%zu\r\n", isMap ? 2 * count : count);
    lua_pushnil(lua);
    while (lua_next(lua, -2) != 0) {
        lua_pushvalue(lua, -2);
        append_value(lua, out, client3, script3);
        if (isMap) append_value(lua, out, client3, script3);
        else lua_settop(lua, -2);
    }
    lua_settop(lua, -2);
}

/// Pushes a field where it has the type; 1 where it does.
static int push_typed(lua_State *lua, const char *name, int type) {
    lua_pushstring(lua, name);
    lua_rawget(lua, -2);
    if (lua_type(lua, -1) == type) return 1;
    lua_settop(lua, -2);
    return 0;
}

/// A table that stands for something else than an array. 1 where it was one, which is then popped.
static int append_special(lua_State *lua, struct buffer *out, int client3, int script3) {
    size_t size;
    const char *text;
    int top = lua_gettop(lua);
    if (push_typed(lua, "err", LUA_TSTRING)) {
        text = lua_tolstring(lua, -1, &size);
        append_line(out, '-', text, size);
    } else if (push_typed(lua, "ok", LUA_TSTRING)) {
        text = lua_tolstring(lua, -1, &size);
        append_line(out, '+', text, size);
    } else if (push_typed(lua, "double", LUA_TNUMBER)) {
        append_double(out, lua_tonumber(lua, -1), client3);
    } else if (push_typed(lua, "big_number", LUA_TSTRING)) {
        text = lua_tolstring(lua, -1, &size);
        if (client3) append_line(out, '(', text, size);
        else append_bulk(out, text, size);
    } else if (push_typed(lua, "verbatim_string", LUA_TTABLE)) {
        if (!push_typed(lua, "string", LUA_TSTRING)) {
            lua_settop(lua, top);
            return 0;
        }
        text = lua_tolstring(lua, -1, &size);
        if (client3) {
            buffer_append_text(out, "=%zu\r\ntxt:", size + 4);
            buffer_append(out, text, size);
            buffer_append(out, "\r\n", 2);
        } else {
            append_bulk(out, text, size);
        }
    } else if (push_typed(lua, "map", LUA_TTABLE)) {
        append_pairs(lua, out, 1, client3, script3);
    } else if (push_typed(lua, "set", LUA_TTABLE)) {
        append_pairs(lua, out, 0, client3, script3);
    } else {
        return 0;
    }
    lua_settop(lua, top - 1);
    return 1;
}

static void append_array(lua_State *lua, struct buffer *out, int client3, int script3) {
    int count = 0;
    for (;; count++) {
        lua_rawgeti(lua, -1, count + 1);
        int isEnd = lua_type(lua, -1) == LUA_TNIL;
        lua_settop(lua, -2);
        if (isEnd) break;
    }
    buffer_append_text(out, "*%d\r\n", count);
    for (int index = 1; index <= count; index++) {
        lua_rawgeti(lua, -1, index);
        append_value(lua, out, client3, script3);
    }
    lua_settop(lua, -2);
}

void append_value(lua_State *lua, struct buffer *out, int client3, int script3) {
    size_t size;
    const char *text;
    // What a map needs at most.
    if (!lua_checkstack(lua, 4)) {
        append_line(out, '-', "ERR reached lua stack limit", 27);
        lua_settop(lua, -2);
        return;
    }
    switch (lua_type(lua, -1)) {
    case LUA_TSTRING:
        text = lua_tolstring(lua, -1, &size);
        append_bulk(out, text, size);
        break;
    case LUA_TNUMBER: buffer_append_text(out, ":%lld\r\n", (long long)lua_tonumber(lua, -1)); break;
    case LUA_TBOOLEAN:
        if (script3) {
            if (client3) buffer_append_text(out, "#%c\r\n", lua_toboolean(lua, -1) ? 't' : 'f');
            else buffer_append_text(out, ":%d\r\n", lua_toboolean(lua, -1));
        } else if (lua_toboolean(lua, -1)) {
            buffer_append(out, ":1\r\n", 4);
        } else {
            append_null(out, client3);
        }
        break;
    case LUA_TTABLE:
        if (!append_special(lua, out, client3, script3)) append_array(lua, out, client3, script3);
        return;
    default: append_null(out, client3);
    }
    lua_settop(lua, -2);
}
