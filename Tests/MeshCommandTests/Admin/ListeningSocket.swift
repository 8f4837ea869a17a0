import Glibc

@testable import MeshCommand

/// A unix socket that is listened on, and at first by nobody answered: the kernel accepts.
func listeningSocket(_ path: String) throws -> Int32 {
    let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: Array(path.utf8)) }
    let isBound = withUnsafePointer(to: &address) {
        $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
            bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size)) == 0
        }
    }
    guard isBound, listen(descriptor, 64) == 0 else {
        throw Complaint("\(path) can't be listened on: \(errorText(errno))", fix: "use another path")
    }
    return descriptor
}
