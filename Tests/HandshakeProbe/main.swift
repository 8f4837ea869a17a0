// What Tests/Benchmarks/handshake-flood measures with.
//
//   HandshakeProbe dial NAME COUNT PAUSE      honest handshakes with a workload, one after the other, as another
//                                             workload of this user: `MICROSECONDS` or `failed WHY`, a line each
//   HandshakeProbe state-machine RATE SECONDS bogus first flights at that rate, in memory, with an honest
//                                             handshake due every 10 ms: a line of figures

import Glibc

let arguments = Array(CommandLine.arguments.dropFirst())
switch arguments.first {
case "dial" where arguments.count == 4:
    Dialler(arguments[1], count: Int(arguments[2]) ?? 1, pause: UInt32(arguments[3]) ?? 0).run()
case "state-machine" where arguments.count == 3:
    StateMachineFlood(rate: Int(arguments[1]) ?? 0, seconds: Int(arguments[2]) ?? 0).run()
default:
    print("called with \(arguments)")
    exit(2)
}
