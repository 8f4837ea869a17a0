// What the core decides, carried out.

import CLinuxShims
import Logging
import NIOCore
import SidecarProtocol
import Transport

extension Driver {
    func perform(_ effect: MeshEffect) {
        switch effect {
        case .register(let announcements, let certificates, let tombstone):
            topics.register(
                announcements: announcements, certificates: certificates, tombstone: tombstone)
        case .withdraw(let tombstone): topics.withdraw(tombstone: tombstone)
        case .subscribe(let topic): topics.subscribe(topic)
        case .unsubscribe(let topic): topics.unsubscribe(topic)
        case .renewCredential: requestCredential()
        case .persistAddresses(let bytes): persist(bytes)
        case .readPolicy(let bytes, let head): read(policy: bytes, as: head)
        case .persistPolicy(let bytes): keep(policy: bytes)
        case .tellNode(let message): topics.tell(message)
        case .answer(let query, let answer): reply(query, answer)
        case .listen(let address, let port): listen(address, port)
        case .unlisten(let address, let port): unlisten(address, port)
        case .dial(let link, let target): dial(link, target)
        case .closeLink(let link, let reason): links.removeValue(forKey: link)?.close(reason)
        case .send(let link, let frame): send(frame, on: link)
        case .openStream(let flow, let link, let open, let permit): openStream(flow, link, open, permit)
        case .deliver(let flow, let source, let localSource, let port, let permit):
            deliver(flow, from: source, or: localSource, to: port, permit)
        case .cut(let flow, let reason):
            cut(flow, reason)
            note(cut: reason)
        case .allowEgress(let endpoint, let until): allowEgress(endpoint, until)
        case .revokeEgress(let endpoint): revokeEgress(endpoint)
        case .probe(let port): probe(port)
        case .replicaUp(let replica): state?.replicaUp(replica)
        case .replicaDown(let replica): state?.replicaDown(replica)
        case .replicated(let message, let replica): state?.received(message, from: replica)
        case .record(let record):
            note(record)
            metrics.count(record)
            records.append(record)
            spans?.append(record)
        case .log(let level, let text): logger.log(level: Logger.Level(level), "\(text)")
        case .stopped: stopped()
        }
    }

    /// Written whole or not at all, before whatever follows.
    private func persist(_ addresses: [UInt8]) {
        do {
            try SmallFile.write(addresses, to: instanceFolder + "/" + MeshPaths.addressesName)
        } catch {
            // A replacement of this sidecar couldn't know the addresses that its workload holds.
            logger.error("addresses not kept, a replaced sidecar will give others: \(error)")
        }
    }

    private func reply(_ query: QueryID, _ answer: NameAnswer) {
        if case .resolve(let host) = answer {
            resolve(query, host)
        } else {
            names.answer(query, answer)
        }
    }

    private func send(_ frame: ControlFrame, on link: LinkID) {
        guard let link = links[link] else { return }
        if case .reset(let stream, let reason) = frame {
            link.reset(stream, reason)
        } else {
            link.send(frame)
        }
    }

    // MARK: Listeners

    private func listen(_ address: IPAddress, _ port: ServicePort) {
        guard let network else { return earlyListeners.append((address, port)) }
        if Endpoint(address, port.port) == MeshNode.stateEndpoint { return listenForState() }
        if network.datapath == .slirp { return listenInStack(address, port) }
        do {
            switch port.protocol {
            case .tcp: try listeners.listen(Endpoint(address, port.port))
            case .udp: try listenForDatagrams(Endpoint(address, port.port))
            }
        } catch {
            logger.error("no listener for a peer: \(error)")
        }
    }

    private func unlisten(_ address: IPAddress, _ port: ServicePort) {
        earlyListeners.removeAll { $0 == (address, port) }
        if network?.datapath == .slirp { return unlistenInStack(address, port) }
        switch port.protocol {
        case .tcp: listeners.unlisten(Endpoint(address, port.port))
        case .udp: datagramListeners.removeValue(forKey: Endpoint(address, port.port))?.close()
        }
    }

    func openEarlyListeners() {
        let early = earlyListeners
        earlyListeners = []
        for (address, port) in early { listen(address, port) }
    }
}

extension Logger.Level {
    init(_ level: LogLevel) {
        switch level {
        case .debug: self = .debug
        case .info: self = .info
        case .notice: self = .notice
        case .warning: self = .warning
        case .error: self = .error
        }
    }
}
