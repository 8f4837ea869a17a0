import Glibc

@testable import MeshCommand

/// A socket that accepts (the kernel does) and never says anything.
struct SilentSocket {
    fileprivate let descriptor: Int32

    func close() { Glibc.close(descriptor) }
}

func silentSocket(_ path: String) throws -> SilentSocket {
    let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: Array(path.utf8)) }
    let isBound = withUnsafePointer(to: &address) {
        $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
            bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size)) == 0
        }
    }
    guard isBound, listen(descriptor, 8) == 0 else {
        throw Complaint("no socket at \(path)", fix: "see errno")
    }
    return SilentSocket(descriptor: descriptor)
}
