import SidecarProtocol
import Testing

@Suite struct NodeMessageTests {
    static let topic = TopicID([UInt8](repeating: 3, count: 16))!

    static func registration(_ count: Int = 2) -> NodeRegistration {
        NodeRegistration(
            announcements: [[UInt8]](repeating: [1, 2, 3], count: count), leaf: [4], issuer: [5],
            tombstone: [6], instanceFolder: "/run/mesh/instances/00", launcherProcessID: 4242)
    }

    static let clientMessages: [ClientMessage] = [
        .register(registration()), .renew(registration(0)), .subscribe(topic), .unsubscribe(topic),
        .certificateRequest(hash: [UInt8](repeating: 7, count: 32)), .withdraw(tombstone: [8]), .stop,
        .status, .reload, .policy(.head(PolicyFixture.head)),
        .policy(.request(PolicyFixture.head, offset: 7)), .unknown(kind: 99),
    ]

    static let nodeMessages: [NodeMessage] = [
        .announcement([1, 2]), .certificate(leaf: [3], issuer: [4]), .tombstone([5]),
        .refused("no certificate of that hash"),
        .status(
            NodeStatus(
                processID: 77, registrations: 1, subscriptions: 2, announcements: 3, tombstones: 4,
                certificates: .max,
                neighbours: 6, configurationProblem: "node.yaml:2: wrong")),
        .policy(.part(PolicyPart(head: PolicyFixture.head, offset: 1, total: 3, bytes: [1, 2]))),
        .policy(.beacon([1, 2])), .unknown(kind: 99),
    ]

    @Test("every message is read back", arguments: clientMessages)
    func client(message: ClientMessage) throws {
        #expect(try ClientMessage(canonical: message.encoded()) == message)
    }

    @Test("every answer is read back", arguments: nodeMessages)
    func node(message: NodeMessage) throws {
        #expect(try NodeMessage(canonical: message.encoded()) == message)
    }

    @Test("an announcement's age is read back, is zero where it isn't stated, and has a limit")
    func age() throws {
        let message = NodeMessage.announcement([1, 2], age: .seconds(3))
        #expect(try NodeMessage(canonical: message.encoded()) == message)
        let without = CBOR.array([.unsigned(1), .bytes([1, 2])]).encoded()
        #expect(try NodeMessage(canonical: without) == .announcement([1, 2], age: .seconds(0)))
        let most = Limits.announcementLifeMaximum
        for stated in [most.milliseconds, most.milliseconds + 1, .max] {
            let bytes = CBOR.array([.unsigned(1), .bytes([1, 2]), .unsigned(stated)]).encoded()
            #expect(try NodeMessage(canonical: bytes) == .announcement([1, 2], age: most))
        }
        let wrong = CBOR.array([.unsigned(1), .bytes([1, 2]), .text("3")]).encoded()
        #expect(throws: CBORError.self) { try NodeMessage(canonical: wrong) }
    }

    @Test("a later version's fields at the end are left, a kind that isn't known is skipped")
    func later() throws {
        let longer = CBOR.array([.unsigned(7), .text("more")]).encoded()
        #expect(try ClientMessage(canonical: longer) == .stop)
        let unknown = CBOR.array([.unsigned(50), .map([]), .null]).encoded()
        #expect(try ClientMessage(canonical: unknown) == .unknown(kind: 50))
        #expect(try NodeMessage(canonical: unknown) == .unknown(kind: 50))
    }

    @Test("a message with a field short, or of another type, is refused")
    func badFields() throws {
        for bytes in Self.clientMessages.map({ $0.encoded() }) {
            guard case .array(let items) = try CBOR(canonical: bytes) else { continue }
            for index in items.indices.dropFirst() {
                let short = CBOR.array(Array(items[..<index])).encoded()
                #expect(throws: CBORError.self) { try ClientMessage(canonical: short) }
                var wrong = items
                wrong[index] = .null
                #expect(throws: CBORError.self) {
                    try ClientMessage(canonical: CBOR.array(wrong).encoded())
                }
            }
        }
        for bytes in Self.nodeMessages.map({ $0.encoded() }) {
            guard case .array(let items) = try CBOR(canonical: bytes) else { continue }
            for index in items.indices.dropFirst() {
                let short = CBOR.array(Array(items[..<index])).encoded()
                #expect(throws: CBORError.self) { try NodeMessage(canonical: short) }
                var wrong = items
                wrong[index] = .null
                #expect(throws: CBORError.self) { try NodeMessage(canonical: CBOR.array(wrong).encoded()) }
            }
        }
        for bytes in [[], [0x80], [0xA0], CBOR.array([.text("stop")]).encoded(), [0x81, 0x07, 0x00]] {
            #expect(throws: CBORError.self) { try ClientMessage(canonical: bytes) }
            #expect(throws: CBORError.self) { try NodeMessage(canonical: bytes) }
        }
        let negative = CBOR.array(
            [.unsigned(1), .array([]), .bytes([]), .bytes([]), .bytes([]), .text(""), .unsigned(1 << 31)])
        #expect(throws: CBORError.self) { try ClientMessage(canonical: negative.encoded()) }
    }

    @Test("every limit holds at its value and refuses one past it")
    func limits() throws {
        func reads(_ message: ClientMessage) -> Bool {
            (try? ClientMessage(canonical: message.encoded())) != nil
        }
        func bytes(_ count: Int) -> [UInt8] { [UInt8](repeating: 0, count: count) }
        func registers(_ change: (inout NodeRegistration) -> Void) -> Bool {
            var registration = Self.registration()
            change(&registration)
            return reads(.register(registration))
        }
        let most = Limits.registrationAnnouncementsMaximum
        #expect(registers { $0.announcements = Self.registration(most).announcements })
        #expect(!registers { $0.announcements = Self.registration(most + 1).announcements })
        #expect(registers { $0.announcements = [bytes(Limits.announcementBytesMaximum)] })
        #expect(!registers { $0.announcements = [bytes(Limits.announcementBytesMaximum + 1)] })
        #expect(registers { $0.leaf = bytes(Limits.certificateBytesMaximum) })
        #expect(!registers { $0.leaf = bytes(Limits.certificateBytesMaximum + 1) })
        #expect(!registers { $0.issuer = bytes(Limits.certificateBytesMaximum + 1) })
        let path = String(repeating: "p", count: Limits.pathBytesMaximum)
        #expect(registers { $0.instanceFolder = path })
        #expect(!registers { $0.instanceFolder = path + "p" })
        #expect(reads(.withdraw(tombstone: bytes(Limits.tombstoneBytesMaximum))))
        #expect(!reads(.withdraw(tombstone: bytes(Limits.tombstoneBytesMaximum + 1))))
        #expect(!reads(.certificateRequest(hash: bytes(31))))
        // The whole of the longest registration fits one frame.
        var longest = Self.registration()
        longest.announcements = [[UInt8]](
            repeating: bytes(Limits.announcementBytesMaximum), count: most)
        longest.leaf = bytes(Limits.certificateBytesMaximum)
        longest.issuer = longest.leaf
        longest.instanceFolder = path
        let encoded = ClientMessage.register(longest).encoded()
        #expect(encoded.count <= Limits.nodeFrameBytesMaximum)
        #expect(throws: CBORError.self) {
            try NodeMessage(
                canonical: NodeMessage.refused(String(repeating: "r", count: Limits.nodeFrameBytesMaximum))
                    .encoded())
        }
    }
}

@Suite struct TopicTests {
    @Test("a service topic names its workload")
    func service() throws {
        let workload = try WorkloadName(namespace: "default", name: "payments")
        #expect(TopicName.service(workload) == "svc/default/payments")
        #expect(TopicName.workload(ofService: "svc/default/payments") == workload)
        for name in ["svc/default", "svc/a/b/c", "SVC/a/b", "svc/A/b", "svc//b", "host/a", ""] {
            #expect(TopicName.workload(ofService: name) == nil)
        }
    }

    @Test("a topic's id tells nothing without the domain's key")
    func identifiers() throws {
        let key = try #require(DiscoveryKey([UInt8](repeating: 1, count: 32)))
        let other = try #require(DiscoveryKey([UInt8](repeating: 2, count: 32)))
        let workload = try WorkloadName(namespace: "default", name: "payments")
        let id = TopicID(service: workload, discoveryKey: key)
        #expect(id == TopicID(name: "svc/default/payments", key: key))
        #expect(id != TopicID(service: workload, discoveryKey: other))
        #expect(id.bytes.count == 16)
        // On the wire for good: another value here breaks every domain that exists.
        #expect(id.description == "4162e4bacc189eedd25a03ce9c3ef5e1")
        #expect(DiscoveryKey([1]) == nil && TopicID([1]) == nil)
    }
}
