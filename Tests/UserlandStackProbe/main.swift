// `UserlandStackProbe userland-stack DATAPATH ADDRESS` is the userland stack's process, as mesh-sidecar runs it.
// `UserlandStackProbe attack none|sandbox|filter DATAPATH ADDRESS` closes itself in as that process does, as far
// as said, and tries to get out; ADDRESS is one in its parent's memory.

import CLinuxShims
import Glibc
import Sidecar
import UserlandStackAttack

let arguments = Array(CommandLine.arguments.dropFirst())
switch arguments.first {
case UserlandStackProcess.verb: exit(UserlandStackProcess.run(Array(arguments.dropFirst())))
case "attack" where arguments.count == 4:
    let sidecar = getppid()
    if arguments[1] != "none" {
        guard UserlandStackProcess.confine(forwards: arguments[2] == "slirp") != nil else { exit(1) }
    }
    if arguments[1] == "filter" {
        guard mesh_seccomp_userland_stack(arguments[2] == "slirp" ? 1 : 0) == 0 else { exit(1) }
    }
    attack(sidecar, UInt(arguments[3]).flatMap { UnsafeMutableRawPointer(bitPattern: $0) })
default:
    print("called with \(arguments)")
    exit(2)
}
