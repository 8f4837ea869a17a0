// How the node tells its issuer that the policy on the disk is another.
//
// The issuer looks at the file whenever it issues a certificate, which may be half an hour later. Until then
// an older file could take its place, and nobody would know: so it is told at once.

import NIOCore
import SidecarProtocol
import Transport

/// On the node's event loop.
final class PolicyNotice {
    /// The whole notice, and the answer to it. It says nothing but "look".
    static let frame = CBOR.array([.unsigned(2)]).encoded()

    private let path: String
    private let eventLoop: any EventLoop
    private var socket: FrameSocket?
    private var isDue = false

    /// - Parameter path: `MeshPaths.issuerSocket`.
    init(path: String, eventLoop: any EventLoop) {
        self.path = path
        self.eventLoop = eventLoop
    }

    /// An issuer that is just being started again hears of it, too.
    func send() {
        isDue = true
        guard socket == nil else { return }
        let socket = FrameSocket(path: path, eventLoop: eventLoop, delayMaximum: .milliseconds(100)) {
            [unowned self] in handle($0)
        }
        self.socket = socket
        socket.start()
    }

    private func handle(_ event: FrameSocket.Event) {
        switch event {
        case .connected:
            isDue = false
            socket?.send(PolicyNotice.frame)
        case .disconnected: isDue = true
        case .frame:
            socket?.close()
            socket = nil
            if isDue { send() }
        }
    }
}
