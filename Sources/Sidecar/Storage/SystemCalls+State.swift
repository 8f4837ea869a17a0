// What the thread of the shared state needs besides. Its sockets, its epoll and its files have their rows in the
// tables of the event loop and of files.

import CLinuxShims
import Glibc
import Transport

extension SystemCalls {
    static let state: [SystemCall] = [
        SystemCall("pipe2", SYS_pipe2, because: "waking the thread of the shared state")
    ]
}
