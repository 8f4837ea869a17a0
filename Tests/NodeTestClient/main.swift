// A sidecar without a workload, for NodeTests: gets a certificate, registers, subscribes, and says each
// thing that happens as one line. Ends when its standard input does, or is killed.
//
//   NodeTestClient NAME [--serve] [--join] [--config WORD] [--subscribe NAME]… [--instance HEX]
//                  [--incarnation N] [--launcher PID] [--unnamed] [--withdraw]

import Glibc
import NIOCore
import NIOPosix
import SidecarProtocol
import Transport

let eventLoop = MultiThreadedEventLoopGroup(numberOfThreads: 1).next()
let options = Options(Array(CommandLine.arguments.dropFirst()))
eventLoop.execute { Client.shared.value.start() }
while let line = readLine() {
    if line == "withdraw" { eventLoop.execute { Client.shared.value.withdraw() } }
}
exit(0)
