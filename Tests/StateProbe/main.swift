// The state server behind a real socket, for what drives it from outside: redis-benchmark, the Tcl suite of
// Redis, and the comparison with redis-server. One thread, poll, nothing kept.
//
//   StateProbe (--port N | --unix PATH) [--debug] [--record] [--seed N] [--consistency eventual]

import Glibc

signal(SIGPIPE, SIG_IGN)
guard let options = Options(CommandLine.arguments.dropFirst()) else {
    print("usage: StateProbe (--port N | --unix PATH) [--debug] [--record] [--seed N]")
    exit(2)
}
let loop = ProbeLoop(options)
loop.run()
