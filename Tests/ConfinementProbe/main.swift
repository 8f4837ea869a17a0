// `ConfinementProbe sidecar|node|issuer|scripts|none` closes a child of itself in for each attempt, as that process
// closes itself in, and says what became of it: `NAME allowed`, `denied`, `killed`, or `open` without a filter.

import CLinuxShims
import ConfinementAttack
import Glibc
import Node
import Sidecar
import Transport

let role = CommandLine.arguments.dropFirst().first ?? ""

func enter() -> [SystemError] {
    switch role {
    case "sidecar": Confinement.enterAsSidecar()
    case "node": Confinement.enterAsNode()
    case "issuer": Confinement.enterAsIssuer()
    case "scripts": Confinement.enterAsScripts()
    default: []
    }
}

/// In a child. The calls that end a process aren't tried without a filter: they might succeed.
func tryOne(_ index: Int) -> Never {
    guard enter().isEmpty else { _exit(2) }
    let isFiltered = isFilteredHere()
    guard isFiltered || role == "none" else { _exit(2) }
    _exit(attempt(index) == 1 ? 1 : 0)
}

/// prctl(PR_GET_SECCOMP) itself is refused under a filter.
func isFilteredHere() -> Bool { is_filtered() != 0 }

var index = 0
while let name = attempt_name(index) {
    if role == "none", index >= 34 { break }
    fflush(nil)
    let child = mesh_fork()
    if child == 0 { tryOne(index) }
    var status: Int32 = 0
    waitpid(child, &status, 0)
    let verdict =
        switch (status & 0x7F, status >> 8 & 0xFF) {
        case (0, 1): "allowed"
        case (0, 0): "denied"
        case (SIGSYS, _): "killed"
        default: "open"
        }
    print(String(cString: name), verdict)
    index += 1
}
