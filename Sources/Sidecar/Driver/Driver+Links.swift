// Sessions with the sidecars of peers.

import NIOCore
import SidecarProtocol
import Transport

extension Driver: PeerLinkDelegate {
    func dial(_ id: LinkID, _ target: DialTarget) {
        guard let credential = credentials?.current else { return }
        prepareCipher()
        links[id] = PeerLink.dial(
            id: id, target: target, credential: credential, on: loop, delegate: self)
    }

    /// A peer connected to our listening socket, with a right first flight.
    func accept(_ channel: any Channel) throws {
        guard let credentials, stage != .stopping, links.count < Limits.linksMaximum else {
            throw ChannelError.operationUnsupported
        }
        let id = LinkID(number: LinkID.firstAccepted.number + acceptedLinkCount)
        acceptedLinkCount += 1
        if let old = handshakes.admit(id) { links[old]?.close(.limit) }
        links[id] = PeerLink.accept(
            id: id, channel: channel, credentials: credentials, delegate: self)
    }

    func linkGreeted(_ link: PeerLink) { prepareCipher() }

    /// libcrypto takes milliseconds to load, which the first large record would wait for; a sidecar
    /// without sessions needn't have it in its memory.
    private func prepareCipher() {
        guard !isCipherPrepared else { return }
        isCipherPrepared = true
        try? startThread(named: "mesh-cipher") { prepareBulkCipher() }
    }

    func linkEstablished(_ link: PeerLink, _ peer: SessionPeer) {
        counters.handshakes += 1
        handshakes.leave(link.id)
        feed(.linkEstablished(link.id, peer))
    }

    func linkRenewed(_ link: PeerLink, _ peer: SessionPeer) {
        counters.handshakes += 1
        feed(.linkRenewed(link.id, peer))
    }

    func link(_ link: PeerLink, opened stream: StreamID, _ open: FlowOpen) {
        feed(.inboundOpen(nextFlow(), link.id, stream, open))
    }

    func link(_ link: PeerLink, received frame: ControlFrame) {
        feed(.frame(link.id, frame))
    }

    func linkClosed(_ link: PeerLink, _ reason: CloseReason, detail: String) {
        handshakes.leave(link.id)
        guard links.removeValue(forKey: link.id) != nil else { return }
        feed(.linkClosed(link.id, reason, detail: detail))
    }
}
