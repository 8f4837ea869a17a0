// Lua 5.1 for the script process: loaded when the first script comes, and never in a sidecar.
//
// The process reads one request at a time from a socket, runs the script, asks the sidecar for each command
// that the script calls, and answers. It holds nothing else, so it may die at any time.
#pragma once
#include <stddef.h>
#include <stdint.h>

/// Loads liblua5.1 and, where it is installed, cjson; before the process gives up its file system.
/// NULL, or what is missing, and what to do.
const char *mesh_lua_load(void);

/// Serves requests on `channel`, a stream socket, until its other end closes. Returns 0, or the exit code of
/// a failure.
///
/// Each message is 4 bytes of length, little-endian, then a kind and what it says:
///   'C' source                     compile only            answers 'K', or 'X' with the error
///   'E' version 3? (1 byte), source, keys, arguments       answers 'D' with the reply as RESP, or 'X'
///   'R' RESP                       the answer to a 'Q'
///   'Q' flag, RESP                 (from here) a command that the script calls; 1: as pcall
///   'L' level, text                (from here) redis.log
///   'F' text                       (from here) no script can be run by this process
/// A string is its length and its bytes, a list its count and its strings, a number 4 bytes, little-endian.
/// `instructions`: the most that one script may execute.
int mesh_lua_serve(int channel, uint64_t instructions);

/// Answers the first request with 'F' and the reason why none is served.
void mesh_lua_refuse(int channel, const char *reason);
