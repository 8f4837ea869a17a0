#include "lua_msgpack.h"

#include <limits.h>
#include <math.h>
#include <stdint.h>
#include <string.h>

#include "channel.h"

// Deeper tables are nil, so that one which contains itself comes to an end.
enum { NESTING_MAXIMUM = 16, PACKED_MAXIMUM = 512 << 20 };

// MARK: Packing

static void append_code(lua_State *lua, struct buffer *out, unsigned char code, uint64_t value, size_t width) {
    if (out->size > PACKED_MAXIMUM) luaL_error(lua, "MessagePack output is larger than 512 MB");
    unsigned char bytes[9] = {code};
    for (size_t index = width; index > 0; index--, value >>= 8) bytes[index] = (unsigned char)value;
    buffer_append(out, bytes, width + 1);
}

/// A length in the shortest of its forms: within the code, or in 1, 2 or 4 bytes.
///
/// - codes: of these three; 0 where there is none.
static void append_length(
    lua_State *lua, struct buffer *out, size_t length, unsigned char fixed, size_t most,
    const unsigned char codes[3]) {
    if (length <= most)
        append_code(lua, out, (unsigned char)(fixed | length), 0, 0);
    else if (length <= 0xff && codes[0] != 0)
        append_code(lua, out, codes[0], length, 1);
    else if (length <= 0xffff)
        append_code(lua, out, codes[1], length, 2);
    else
        append_code(lua, out, codes[2], length, 4);
}

static void pack_integer(lua_State *lua, struct buffer *out, int64_t number) {
    uint64_t bits = (uint64_t)number;
    if (number >= -32 && number <= 127)
        append_code(lua, out, (unsigned char)number, 0, 0);
    else if (number >= 0 && number <= UINT8_MAX)
        append_code(lua, out, 0xcc, bits, 1);
    else if (number >= 0 && number <= UINT16_MAX)
        append_code(lua, out, 0xcd, bits, 2);
    else if (number >= 0 && number <= UINT32_MAX)
        append_code(lua, out, 0xce, bits, 4);
    else if (number >= 0)
        append_code(lua, out, 0xcf, bits, 8);
    else if (number >= INT8_MIN)
        append_code(lua, out, 0xd0, bits, 1);
    else if (number >= INT16_MIN)
        append_code(lua, out, 0xd1, bits, 2);
    else if (number >= INT32_MIN)
        append_code(lua, out, 0xd2, bits, 4);
    else
        append_code(lua, out, 0xd3, bits, 8);
}

static int is_integer(double number) {
    return number >= -9223372036854775808.0 && number < 9223372036854775808.0 && (double)(int64_t)number == number;
}

static void pack_number(lua_State *lua, struct buffer *out, double number) {
    if (is_integer(number)) return pack_integer(lua, out, (int64_t)number);
    float small = (float)number;
    if ((double)small == number) {
        uint32_t bits;
        memcpy(&bits, &small, 4);
        return append_code(lua, out, 0xca, bits, 4);
    }
    uint64_t bits;
    memcpy(&bits, &number, 8);
    append_code(lua, out, 0xcb, bits, 8);
}

/// Whether the keys of the table at the top are 1 to n for some n; `count` gets how many keys there are.
static int is_array(lua_State *lua, size_t *count) {
    double most = 0;
    int isArray = 1;
    *count = 0;
    lua_pushnil(lua);
    while (lua_next(lua, -2) != 0) {
        lua_settop(lua, -2);
        double key = lua_type(lua, -1) == LUA_TNUMBER ? lua_tonumber(lua, -1) : 0;
        if (key <= 0 || !is_integer(key)) isArray = 0;
        if (key > most) most = key;
        (*count)++;
    }
    return isArray && most == (double)*count;
}

static void pack_value(lua_State *lua, struct buffer *out, int level);

static void pack_table(lua_State *lua, struct buffer *out, int level) {
    static const unsigned char arrays[] = {0, 0xdc, 0xdd}, maps[] = {0, 0xde, 0xdf};
    size_t count;
    if (!lua_checkstack(lua, 4)) luaL_error(lua, "stack overflow");
    if (is_array(lua, &count)) {
        append_length(lua, out, count, 0x90, 15, arrays);
        for (size_t index = 1; index <= count; index++) {
            lua_pushnumber(lua, (lua_Number)index);
            lua_gettable(lua, -2);
            pack_value(lua, out, level + 1);
        }
        return;
    }
    append_length(lua, out, count, 0x80, 15, maps);
    lua_pushnil(lua);
    while (lua_next(lua, -2) != 0) {
        lua_pushvalue(lua, -2);
        pack_value(lua, out, level + 1);
        pack_value(lua, out, level + 1);
    }
}

/// Appends the value at the top of the stack, and pops it.
static void pack_value(lua_State *lua, struct buffer *out, int level) {
    static const unsigned char strings[] = {0xd9, 0xda, 0xdb};
    size_t size;
    const char *bytes;
    int type = lua_type(lua, -1);
    switch (type == LUA_TTABLE && level == NESTING_MAXIMUM ? LUA_TNIL : type) {
    case LUA_TSTRING:
        bytes = lua_tolstring(lua, -1, &size);
        append_length(lua, out, size, 0xa0, 31, strings);
        buffer_append(out, bytes, size);
        break;
    case LUA_TBOOLEAN: append_code(lua, out, lua_toboolean(lua, -1) ? 0xc3 : 0xc2, 0, 0); break;
    case LUA_TNUMBER: pack_number(lua, out, lua_tonumber(lua, -1)); break;
    case LUA_TTABLE: pack_table(lua, out, level); break;
    default: append_code(lua, out, 0xc0, 0, 0);
    }
    lua_settop(lua, -2);
}

static int msgpack_pack(lua_State *lua) {
    static struct buffer out;
    int count = lua_gettop(lua);
    if (count == 0) return luaL_argerror(lua, 0, "MessagePack pack needs input.");
    if (!lua_checkstack(lua, 4)) return luaL_argerror(lua, 0, "Too many arguments for MessagePack pack.");
    buffer_clear(&out);
    for (int index = 1; index <= count; index++) {
        lua_pushvalue(lua, index);
        pack_value(lua, &out, 0);
    }
    lua_pushlstring(lua, out.bytes, out.size);
    return 1;
}

// MARK: Unpacking

struct input {
    const unsigned char *next;
    size_t left;
};

static const unsigned char *take(lua_State *lua, struct input *input, uint64_t count) {
    if (count > input->left) luaL_error(lua, "Missing bytes in input.");
    const unsigned char *bytes = input->next;
    input->next += count;
    input->left -= (size_t)count;
    return bytes;
}

static uint64_t take_number(lua_State *lua, struct input *input, size_t width) {
    const unsigned char *bytes = take(lua, input, width);
    uint64_t number = 0;
    for (size_t index = 0; index < width; index++) number = number << 8 | bytes[index];
    return number;
}

static void push_string(lua_State *lua, struct input *input, uint64_t size) {
    const unsigned char *bytes = take(lua, input, size);
    lua_pushlstring(lua, (const char *)bytes, (size_t)size);
}

static void push_packed(lua_State *lua, struct input *input);

static void push_array(lua_State *lua, struct input *input, uint64_t count) {
    lua_createtable(lua, 0, 0);
    for (uint64_t index = 1; index <= count; index++) {
        lua_pushnumber(lua, (lua_Number)index);
        push_packed(lua, input);
        lua_settable(lua, -3);
    }
}

static void push_map(lua_State *lua, struct input *input, uint64_t count) {
    lua_createtable(lua, 0, 0);
    for (; count > 0; count--) {
        push_packed(lua, input);
        push_packed(lua, input);
        lua_settable(lua, -3);
    }
}

static void push_float(lua_State *lua, struct input *input, size_t width) {
    uint64_t bits = take_number(lua, input, width);
    double number;
    if (width == 4) {
        float small;
        uint32_t word = (uint32_t)bits;
        memcpy(&small, &word, 4);
        number = small;
    } else {
        memcpy(&number, &bits, 8);
    }
    lua_pushnumber(lua, number);
}

/// A number with a sign of so many bytes. Eight without one are read so too, as Redis does.
static void push_signed(lua_State *lua, struct input *input, size_t width) {
    unsigned shift = (unsigned)(64 - width * 8);
    lua_pushinteger(lua, (lua_Integer)((int64_t)(take_number(lua, input, width) << shift) >> shift));
}

/// Pushes the next value. What isn't one is an error of the script.
static void push_packed(lua_State *lua, struct input *input) {
    if (!lua_checkstack(lua, 4)) luaL_error(lua, "stack overflow");
    unsigned char code = *take(lua, input, 1);
    if (code < 0x80) return lua_pushinteger(lua, code);
    if (code >= 0xe0) return lua_pushinteger(lua, (signed char)code);
    if (code < 0x90) return push_map(lua, input, code & 15);
    if (code < 0xa0) return push_array(lua, input, code & 15);
    if (code < 0xc0) return push_string(lua, input, code & 31);
    switch (code) {
    case 0xc0: return lua_pushnil(lua);
    case 0xc2: return lua_pushboolean(lua, 0);
    case 0xc3: return lua_pushboolean(lua, 1);
    case 0xd9: return push_string(lua, input, take_number(lua, input, 1));
    case 0xda: return push_string(lua, input, take_number(lua, input, 2));
    case 0xdb: return push_string(lua, input, take_number(lua, input, 4));
    case 0xca: return push_float(lua, input, 4);
    case 0xcb: return push_float(lua, input, 8);
    case 0xcc: return lua_pushnumber(lua, (lua_Number)take_number(lua, input, 1));
    case 0xcd: return lua_pushnumber(lua, (lua_Number)take_number(lua, input, 2));
    case 0xce: return lua_pushnumber(lua, (lua_Number)take_number(lua, input, 4));
    case 0xcf: return push_signed(lua, input, 8);
    case 0xd0: return push_signed(lua, input, 1);
    case 0xd1: return push_signed(lua, input, 2);
    case 0xd2: return push_signed(lua, input, 4);
    case 0xd3: return push_signed(lua, input, 8);
    case 0xdc: return push_array(lua, input, take_number(lua, input, 2));
    case 0xdd: return push_array(lua, input, take_number(lua, input, 4));
    case 0xde: return push_map(lua, input, take_number(lua, input, 2));
    case 0xdf: return push_map(lua, input, take_number(lua, input, 4));
    default: luaL_error(lua, "Bad data format in input.");
    }
}

/// Values from `offset` on: all of them, or at most `limit`, before which the place of the next is returned, -1
/// at the end.
static int unpack(lua_State *lua, lua_Integer limit, lua_Integer offset) {
    size_t size;
    const char *bytes = luaL_checklstring(lua, 1, &size);
    int isWhole = limit == 0 && offset == 0;
    if (offset < 0 || limit < 0)
        return luaL_error(lua, "Invalid request to unpack with offset of %d and limit of %d.", (int)offset, (int)size);
    if ((size_t)offset > size)
        return luaL_error(lua, "Start offset %d greater than input length %d.", (int)offset, (int)size);
    lua_settop(lua, 1);
    struct input input = {(const unsigned char *)bytes + offset, size - (size_t)offset};
    int count = 0;
    if (isWhole) limit = INT_MAX;
    for (; input.left > 0 && count < limit; count++) push_packed(lua, &input);
    if (isWhole) return count;
    if (!lua_checkstack(lua, 1)) return luaL_error(lua, "stack overflow");
    lua_pushinteger(lua, input.left == 0 ? -1 : (lua_Integer)(size - input.left));
    lua_insert(lua, 2);
    return count + 1;
}

static int msgpack_unpack(lua_State *lua) { return unpack(lua, 0, 0); }
static int msgpack_unpack_one(lua_State *lua) { return unpack(lua, 1, luaL_optinteger(lua, 2, 0)); }

static int msgpack_unpack_limit(lua_State *lua) {
    lua_Integer limit = luaL_checkinteger(lua, 2);
    return unpack(lua, limit, luaL_optinteger(lua, 3, 0));
}

int lua_open_msgpack(lua_State *lua) {
    static const luaL_Reg functions[] = {
        {"pack", msgpack_pack}, {"unpack", msgpack_unpack}, {"unpack_one", msgpack_unpack_one},
        {"unpack_limit", msgpack_unpack_limit}, {NULL, NULL},
    };
    luaL_register(lua, "cmsgpack", functions);
    return 1;
}
