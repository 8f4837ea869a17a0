// What the admin socket's answers need besides.

import CLinuxShims
import Glibc
import Transport

extension SystemCalls {
    static let admin: [SystemCall] = [
        SystemCall(
            "kill", SYS_kill, .is(0, getppid()), .is(1, SIGTERM), only: "SIGTERM to its launcher",
            because: "mesh shutdown")
    ]
}
