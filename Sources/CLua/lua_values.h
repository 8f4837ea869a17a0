// Between Lua's values and RESP, as Redis's documentation of scripts says.
#pragma once
#include "channel.h"
#include "lua_api.h"

/// Pushes the value that `bytes` (whole RESP, of either version) say. 0 where they aren't RESP.
int push_reply(lua_State *lua, const char *bytes, size_t size);

/// Writes the value at the top of the stack, and pops it.
///
/// - client3: the client speaks RESP3; script3: so does the script, since `redis.setresp(3)`.
void append_value(lua_State *lua, struct buffer *out, int client3, int script3);
