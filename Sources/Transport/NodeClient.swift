// A sidecar's connection to its host's mesh-node.

import NIOCore
import SidecarProtocol

/// Keeps the connection, and joins announcements with the chains that they name. On one event loop.
///
/// Nothing is remembered across connections: after each `connected` the caller registers and subscribes
/// anew. What is sent without a connection is dropped.
package final class NodeClient {
    package enum Event: Sendable {
        case connected
        /// With its leaf and issuer certificates, unverified.
        case announcement([UInt8], certificates: [[UInt8]])
        case tombstone([UInt8])
        /// About the signed policy.
        case policy(PolicyMessage)
        /// The node hasn't taken the last message, and says why.
        case refused(String)
        case disconnected(String)
    }

    private let instanceFolder: String
    private let launcherProcessID: Int32
    private let report: (Event) -> Void
    private var socket: FrameSocket!
    /// By the leaf's hash, what this connection has brought.
    private var chains: [[UInt8]: [[UInt8]]] = [:]
    private var waiting: [(certificateHash: [UInt8], bytes: [UInt8])] = []
    private var hasRegistered = false

    /// - Parameters:
    ///   - path: `MeshPaths.topicsSocket`.
    ///   - instanceFolder: removed by the node when sidecar and launcher have both died.
    ///   - launcherProcessID: as the node's pid namespace has it; 0 where there is none.
    ///   - report: called on the event loop.
    package init(
        path: String, instanceFolder: String, launcherProcessID: Int32, eventLoop: any EventLoop,
        report: @escaping (Event) -> Void
    ) {
        self.instanceFolder = instanceFolder
        self.launcherProcessID = launcherProcessID
        self.report = report
        socket = FrameSocket(path: path, eventLoop: eventLoop) { [unowned self] in handle($0) }
    }

    package func start() { socket.start() }

    /// No event follows.
    package func close() { socket.close() }

    // MARK: What a sidecar says

    /// - Parameter certificates: the leaf, and its issuer.
    package func register(announcements: [[UInt8]], certificates: [[UInt8]], tombstone: [UInt8]) {
        guard certificates.count == 2 else { preconditionFailure("a chain is a leaf and its issuer") }
        let registration = NodeRegistration(
            announcements: announcements, leaf: certificates[0], issuer: certificates[1],
            tombstone: tombstone, instanceFolder: instanceFolder, launcherProcessID: launcherProcessID)
        if send(hasRegistered ? .renew(registration) : .register(registration)) { hasRegistered = true }
    }

    package func withdraw(tombstone: [UInt8]) { send(.withdraw(tombstone: tombstone)) }

    package func subscribe(_ topic: TopicID) { send(.subscribe(topic)) }

    package func unsubscribe(_ topic: TopicID) { send(.unsubscribe(topic)) }

    package func tell(_ message: PolicyMessage) { send(.policy(message)) }

    @discardableResult
    private func send(_ message: ClientMessage) -> Bool { socket.send(message.encoded()) }

    // MARK: What the node says

    private func handle(_ event: FrameSocket.Event) {
        switch event {
        case .connected:
            chains.removeAll()
            waiting.removeAll()
            hasRegistered = false
            report(.connected)
        case .disconnected(let reason): report(.disconnected(reason))
        case .frame(let body):
            do { handle(try NodeMessage(canonical: body)) } catch {
                report(.refused("the node's message can't be read: \(error)"))
            }
        }
    }

    private func handle(_ message: NodeMessage) {
        switch message {
        case .announcement(let bytes, _): announced(bytes)
        case .certificate(let leaf, let issuer): received(leaf: leaf, issuer: issuer)
        case .tombstone(let bytes): report(.tombstone(bytes))
        case .refused(let reason): report(.refused(reason))
        case .policy(let message): report(.policy(message))
        case .status, .unknown: break
        }
    }

    private func announced(_ bytes: [UInt8]) {
        guard let announcement = try? Announcement(canonical: bytes) else {
            return report(.refused("the node sent an announcement that can't be read"))
        }
        let hash = announcement.certificateHash
        if let chain = chains[hash] { return report(.announcement(bytes, certificates: chain)) }
        // The node sends each chain before its first announcement; one that was dropped is asked for.
        guard waiting.count < Limits.nodeWaitingAnnouncementsMaximum else { return }
        waiting.append((hash, bytes))
        send(.certificateRequest(hash: hash))
    }

    private func received(leaf: [UInt8], issuer: [UInt8]) {
        let hash = SHA256.hash(leaf)
        if chains.count >= Limits.clientCertificatesMaximum { chains.removeAll() }
        chains[hash] = [leaf, issuer]
        let ready = waiting.filter { $0.certificateHash == hash }
        waiting.removeAll { $0.certificateHash == hash }
        for item in ready { report(.announcement(item.bytes, certificates: [leaf, issuer])) }
    }
}
