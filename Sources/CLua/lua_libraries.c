#include "lua_libraries.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "channel.h"

// MARK: bit

/// Any number, reduced modulo 2^32 and to a signed one.
static int32_t to_bits(lua_State *lua, int index) {
    double number = luaL_checknumber(lua, index);
    // 2^52 + 2^51: the low bits of the sum's mantissa are the number's, rounded.
    union {
        double number;
        uint64_t bits;
    } sum = {.number = number + 6755399441055744.0};
    return (int32_t)(uint32_t)sum.bits;
}

static int push_bits(lua_State *lua, uint32_t bits) {
    lua_pushnumber(lua, (lua_Number)(int32_t)bits);
    return 1;
}

static int bit_tobit(lua_State *lua) { return push_bits(lua, (uint32_t)to_bits(lua, 1)); }
static int bit_bnot(lua_State *lua) { return push_bits(lua, ~(uint32_t)to_bits(lua, 1)); }

static int bit_band(lua_State *lua) {
    uint32_t bits = (uint32_t)to_bits(lua, 1);
    for (int index = 2; index <= lua_gettop(lua); index++) bits &= (uint32_t)to_bits(lua, index);
    return push_bits(lua, bits);
}

static int bit_bor(lua_State *lua) {
    uint32_t bits = (uint32_t)to_bits(lua, 1);
    for (int index = 2; index <= lua_gettop(lua); index++) bits |= (uint32_t)to_bits(lua, index);
    return push_bits(lua, bits);
}

static int bit_bxor(lua_State *lua) {
    uint32_t bits = (uint32_t)to_bits(lua, 1);
    for (int index = 2; index <= lua_gettop(lua); index++) bits ^= (uint32_t)to_bits(lua, index);
    return push_bits(lua, bits);
}

static uint32_t count_of(lua_State *lua) { return (uint32_t)to_bits(lua, 2) & 31; }

static int bit_lshift(lua_State *lua) { return push_bits(lua, (uint32_t)to_bits(lua, 1) << count_of(lua)); }
static int bit_rshift(lua_State *lua) { return push_bits(lua, (uint32_t)to_bits(lua, 1) >> count_of(lua)); }
static int bit_arshift(lua_State *lua) { return push_bits(lua, (uint32_t)(to_bits(lua, 1) >> count_of(lua))); }

static int bit_rol(lua_State *lua) {
    uint32_t bits = (uint32_t)to_bits(lua, 1), count = count_of(lua);
    return push_bits(lua, bits << count | bits >> ((32 - count) & 31));
}

static int bit_ror(lua_State *lua) {
    uint32_t bits = (uint32_t)to_bits(lua, 1), count = count_of(lua);
    return push_bits(lua, bits >> count | bits << ((32 - count) & 31));
}

static int bit_bswap(lua_State *lua) { return push_bits(lua, __builtin_bswap32((uint32_t)to_bits(lua, 1))); }

static int bit_tohex(lua_State *lua) {
    uint32_t bits = (uint32_t)to_bits(lua, 1);
    int digits = lua_gettop(lua) < 2 ? 8 : (int)to_bits(lua, 2);
    const char *alphabet = "0123456789abcdef";
    if (digits < 0) {
        digits = -digits;
        alphabet = "0123456789ABCDEF";
    }
    if (digits > 8 || digits < 0) digits = 8;
    char text[8];
    for (int index = digits - 1; index >= 0; index--, bits >>= 4) text[index] = alphabet[bits & 15];
    lua_pushlstring(lua, text, (size_t)digits);
    return 1;
}

int lua_open_bit(lua_State *lua) {
    static const luaL_Reg functions[] = {
        {"tobit", bit_tobit}, {"bnot", bit_bnot}, {"band", bit_band}, {"bor", bit_bor}, {"bxor", bit_bxor},
        {"lshift", bit_lshift}, {"rshift", bit_rshift}, {"arshift", bit_arshift}, {"rol", bit_rol},
        {"ror", bit_ror}, {"bswap", bit_bswap}, {"tohex", bit_tohex}, {NULL, NULL},
    };
    luaL_register(lua, "bit", functions);
    return 1;
}

// MARK: struct

struct layout {
    int isLittle;
    size_t alignment;
};

static size_t number_after(const char **format, size_t otherwise) {
    if (**format < '0' || **format > '9') return otherwise;
    size_t number = 0;
    while (**format >= '0' && **format <= '9') {
        number = number * 10 + (size_t)(*(*format)++ - '0');
        if (number > 1 << 28) return (size_t)1 << 28;
    }
    return number;
}

/// The size of an item; 0 for one that has none. Moves `format` behind its count.
static size_t size_of(lua_State *lua, char option, const char **format) {
    switch (option) {
    case 'b': case 'B': return 1;
    case 'h': case 'H': return 2;
    case 'l': case 'L': case 'd': case 'T': return 8;
    case 'f': return 4;
    case 'x': return 1;
    case 'c': return number_after(format, 1);
    case 'i': case 'I': {
        size_t size = number_after(format, 4);
        if (size < 1 || size > 8) luaL_error(lua, "integral size %d is larger than limit of %d", (int)size, 8);
        return size;
    }
    default: return 0;
    }
}

/// Options that change the layout of what follows. 1 where `option` is one.
static int take_control(lua_State *lua, char option, const char **format, struct layout *layout) {
    switch (option) {
    case ' ': return 1;
    case '>': layout->isLittle = 0; return 1;
    case '<': layout->isLittle = 1; return 1;
    case '=': layout->isLittle = 1; return 1;
    case '!': {
        size_t alignment = number_after(format, 8);
        if (alignment == 0 || alignment > 64 || (alignment & (alignment - 1)) != 0)
            luaL_error(lua, "alignment is not a power of 2");
        layout->alignment = alignment;
        return 1;
    }
    default: return 0;
    }
}

static size_t padding(size_t position, size_t size, char option, const struct layout *layout) {
    if (size == 0 || option == 'c' || option == 'x') return 0;
    size_t alignment = size < layout->alignment ? size : layout->alignment;
    if (alignment <= 1 || (alignment & (alignment - 1)) != 0) return 0;
    return (alignment - (position & (alignment - 1))) & (alignment - 1);
}

static void put_integer(struct buffer *out, uint64_t value, size_t size, int isLittle) {
    unsigned char bytes[8];
    for (size_t index = 0; index < size; index++, value >>= 8)
        bytes[isLittle ? index : size - 1 - index] = (unsigned char)value;
    buffer_append(out, bytes, size);
}

static uint64_t get_integer(const char *bytes, size_t size, int isLittle) {
    uint64_t value = 0;
    for (size_t index = 0; index < size; index++)
        value = value << 8 | (unsigned char)bytes[isLittle ? size - 1 - index : index];
    return value;
}

static void put_float(struct buffer *out, double number, size_t size, int isLittle) {
    uint64_t bits;
    if (size == 4) {
        float small = (float)number;
        uint32_t word;
        memcpy(&word, &small, 4);
        bits = word;
    } else {
        memcpy(&bits, &number, 8);
    }
    put_integer(out, bits, size, isLittle);
}

static uint64_t integer_argument(lua_State *lua, int index) {
    double number = luaL_checknumber(lua, index);
    return number < 0 ? (uint64_t)(int64_t)number : (uint64_t)number;
}

static void pack_string(lua_State *lua, struct buffer *out, char option, size_t size, int argument) {
    size_t count;
    const char *bytes = luaL_checklstring(lua, argument, &count);
    if (option == 's') {
        buffer_append(out, bytes, count);
        buffer_append(out, "", 1);
        return;
    }
    if (size == 0) size = count;
    if (count < size) luaL_argerror(lua, argument, "string too short");
    buffer_append(out, bytes, size);
}

static int struct_pack(lua_State *lua) {
    static struct buffer out;
    buffer_clear(&out);
    const char *format = luaL_checklstring(lua, 1, NULL);
    struct layout layout = {1, 1};
    int argument = 2;
    while (*format != 0) {
        char option = *format++;
        if (take_control(lua, option, &format, &layout)) continue;
        size_t size = size_of(lua, option, &format);
        for (size_t left = padding(out.size, size, option, &layout); left > 0; left--) buffer_append(&out, "", 1);
        switch (option) {
        case 'b': case 'B': case 'h': case 'H': case 'l': case 'L': case 'T': case 'i': case 'I':
            put_integer(&out, integer_argument(lua, argument++), size, layout.isLittle);
            break;
        case 'x': buffer_append(&out, "", 1); break;
        case 'f': case 'd':
            put_float(&out, luaL_checknumber(lua, argument++), size, layout.isLittle);
            break;
        case 'c': case 's': pack_string(lua, &out, option, size, argument++); break;
        default: return luaL_error(lua, "invalid format option '%c'", option);
        }
    }
    lua_pushlstring(lua, out.size == 0 ? "" : out.bytes, out.size);
    return 1;
}

static void push_number(lua_State *lua, char option, const char *bytes, size_t size, int isLittle) {
    uint64_t bits = get_integer(bytes, size, isLittle);
    if (option == 'd') {
        double number;
        memcpy(&number, &bits, 8);
        lua_pushnumber(lua, number);
    } else if (option == 'f') {
        float number;
        uint32_t word = (uint32_t)bits;
        memcpy(&number, &word, 4);
        lua_pushnumber(lua, number);
    } else if (option >= 'a' && size < 8 && bits >> (size * 8 - 1) != 0) {
        lua_pushnumber(lua, (lua_Number)(int64_t)(bits | ~0ULL << (size * 8)));
    } else {
        lua_pushnumber(lua, option >= 'a' ? (lua_Number)(int64_t)bits : (lua_Number)bits);
    }
}

static int struct_unpack(lua_State *lua) {
    const char *format = luaL_checklstring(lua, 1, NULL);
    size_t length;
    const char *data = luaL_checklstring(lua, 2, &length);
    lua_Integer first = luaL_optinteger(lua, 3, 1);
    if (first < 1) return luaL_argerror(lua, 3, "offset must be 1 or greater");
    size_t position = (size_t)first - 1;
    struct layout layout = {1, 1};
    int count = 0;
    while (*format != 0) {
        char option = *format++;
        if (take_control(lua, option, &format, &layout)) continue;
        size_t size = size_of(lua, option, &format);
        position += padding(position, size, option, &layout);
        if (position > length || length - position < size) return luaL_argerror(lua, 2, "data string too short");
        if (!lua_checkstack(lua, 2)) return luaL_error(lua, "too many results to unpack");
        const char *bytes = data + position;
        if (option == 's') {
            const char *end = memchr(bytes, 0, length - position);
            if (end == NULL) return luaL_error(lua, "unfinished string in data");
            lua_pushlstring(lua, bytes, (size_t)(end - bytes));
            position += (size_t)(end - bytes) + 1;
            count++;
        } else if (option == 'c') {
            if (size == 0) {
                // c0: as long as the number that was read last says.
                if (count == 0 || !lua_isnumber(lua, -1)) return luaL_error(lua, "format 'c0' needs a previous size");
                double wanted = lua_tonumber(lua, -1);
                if (wanted < 0 || wanted > (double)(length - position))
                    return luaL_argerror(lua, 2, "data string too short");
                size = (size_t)wanted;
                lua_settop(lua, -2);
                count--;
            }
            lua_pushlstring(lua, bytes, size);
            position += size;
            count++;
        } else if (option != 0 && strchr("bBhHlLTiIfd", option) != NULL) {
            push_number(lua, option, bytes, size, layout.isLittle);
            position += size;
            count++;
        } else if (option == 'x') {
            position += size;
        } else {
            return luaL_error(lua, "invalid format option '%c'", option);
        }
    }
    lua_pushinteger(lua, (lua_Integer)position + 1);
    return count + 1;
}

static int struct_size(lua_State *lua) {
    const char *format = luaL_checklstring(lua, 1, NULL);
    struct layout layout = {1, 1};
    size_t position = 0;
    while (*format != 0) {
        char option = *format++;
        if (take_control(lua, option, &format, &layout)) continue;
        size_t size = size_of(lua, option, &format);
        if (option == 's') return luaL_argerror(lua, 1, "variable-size format in call to 'size'");
        if (option == 'c' && size == 0) return luaL_argerror(lua, 1, "variable-length format in call to 'size'");
        if (size == 0) return luaL_error(lua, "invalid format option '%c'", option);
        position += padding(position, size, option, &layout) + size;
    }
    lua_pushinteger(lua, (lua_Integer)position);
    return 1;
}

int lua_open_struct(lua_State *lua) {
    static const luaL_Reg functions[] = {
        {"pack", struct_pack}, {"unpack", struct_unpack}, {"size", struct_size}, {NULL, NULL},
    };
    luaL_register(lua, "struct", functions);
    return 1;
}
