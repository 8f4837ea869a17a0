// A public test vector: its two formats, and the run of it through HandshakeState on both sides.

import Foundation
import SidecarProtocol
import Testing

struct NoiseVector {
    struct Side {
        var prologue: [UInt8] = []
        var s: X25519KeyPair?
        var e: X25519KeyPair?
        var rs: X25519PublicKey?
        var presharedKeys: [SecretBytes] = []
    }

    struct Message {
        var payload: [UInt8]
        var ciphertext: [UInt8]
    }

    let protocolName: String
    var initiator = Side()
    var responder = Side()
    var messages: [Message] = []
    var handshakeHash: [UInt8]?
    /// flynn's first transport message is always the initiator's; in the other files the turns go on.
    var transportBeginsWithInitiator = false

    private var parts: [Substring] { protocolName.split(separator: "_") }

    var pattern: HandshakePattern? { NoisePatterns.pattern(named: String(parts[1])) }

    /// Whether our primitives can do it: 25519, ChaChaPoly, and a hash that libsodium has.
    var isApplicable: Bool {
        parts.count == 5 && parts[0] == "Noise" && parts[2] == "25519" && parts[3] == "ChaChaPoly"
            && NoisePatterns.hash(named: String(parts[4])) != nil
    }

    // MARK: The run

    /// Runs both sides, and tells what came out otherwise than the vector says.
    func mismatches() throws -> [String] {
        let pattern = try #require(pattern, "no pattern for \(protocolName)")
        let hash = try #require(NoisePatterns.hash(named: String(parts[4])))
        var found: [String] = []
        func check(_ isRight: Bool, _ what: String) {
            if !isRight { found.append("\(protocolName): \(what)") }
        }
        var sides = [(initiator, true), (responder, false)].map { side, isInitiator in
            HandshakeState(
                pattern: pattern, hash: hash, initiator: isInitiator, prologue: side.prologue, s: side.s,
                e: side.e, rs: side.rs, presharedKeys: side.presharedKeys)
        }
        for (index, message) in messages.prefix(pattern.messages.count).enumerated() {
            let (writer, reader) = (index % 2, 1 - index % 2)
            let written = try sides[writer].writeMessage(payload: message.payload)
            check(written == message.ciphertext, "message \(index)")
            let read = try? sides[reader].readMessage(message.ciphertext)
            check(read == message.payload, "payload \(index)")
            if read == nil { return found }
        }
        for (index, side) in [initiator, responder].enumerated() {
            let peer = index == 0 ? responder : initiator
            let isTold = pattern.messages.enumerated().contains {
                $0.offset % 2 != index && $0.element.contains(.s)
            }
            let expected = isTold ? peer.s?.publicKey : side.rs
            check(sides[index].remoteStaticKey == expected, "remote static key")
            check(sides[index].isComplete, "completeness")
        }
        var transports = sides.map { $0.split() }
        let agreed = handshakeHash ?? transports[0].handshakeHash
        check(transports.allSatisfy { $0.handshakeHash == agreed }, "handshake hash")
        for (index, message) in messages.enumerated().dropFirst(pattern.messages.count) {
            let writer = transportWriter(index, after: pattern.messages.count)
            let (text, sealed) = (message.payload, message.ciphertext)
            check(
                try transports[writer].send.encrypt(associatedData: [], plaintext: text) == sealed,
                "transport message \(index)")
            let opened = try? transports[1 - writer].receive.decrypt(associatedData: [], ciphertext: sealed)
            check(opened == text, "transport payload \(index)")
        }
        return found
    }

    private func transportWriter(_ index: Int, after count: Int) -> Int {
        if transportBeginsWithInitiator { return (index - count) % 2 }
        // In a one-way pattern only the initiator ever writes.
        return count == 1 ? 0 : index % 2
    }
}

// MARK: - Files

extension NoiseVector {
    /// The applicable vectors of the files of cacophony and snow.
    static func json(_ path: String) throws -> [NoiseVector] {
        struct File: Decodable { let vectors: [Entry] }
        struct Entry: Decodable {
            struct Message: Decodable { let payload, ciphertext: String }
            let protocolName, initPrologue, respPrologue: String
            let initStatic, initEphemeral, initRemoteStatic: String?
            let respStatic, respEphemeral, respRemoteStatic: String?
            let initPsks, respPsks: [String]?
            let handshakeHash: String?
            let messages: [Message]
        }
        let data = try Data(contentsOf: URL(fileURLWithPath: path))
        let decoder = JSONDecoder()
        decoder.keyDecodingStrategy = .convertFromSnakeCase
        return try decoder.decode(File.self, from: data).vectors.compactMap { entry in
            var vector = NoiseVector(protocolName: entry.protocolName)
            guard vector.isApplicable else { return nil }
            vector.initiator = try side(
                entry.initPrologue, entry.initStatic, entry.initEphemeral, entry.initRemoteStatic,
                entry.initPsks ?? [])
            vector.responder = try side(
                entry.respPrologue, entry.respStatic, entry.respEphemeral, entry.respRemoteStatic,
                entry.respPsks ?? [])
            vector.handshakeHash = try entry.handshakeHash.map(bytes)
            vector.messages = try entry.messages.map {
                Message(payload: try bytes($0.payload), ciphertext: try bytes($0.ciphertext))
            }
            return vector
        }
    }

    private static func side(
        _ prologue: String, _ s: String?, _ e: String?, _ rs: String?, _ presharedKeys: [String]
    ) throws -> Side {
        Side(
            prologue: try bytes(prologue), s: try s.map(keyPair), e: try e.map(keyPair),
            rs: try rs.map { try #require(X25519PublicKey(try bytes($0))) },
            presharedKeys: try presharedKeys.map { SecretBytes(copying: try bytes($0)) })
    }

    private static func bytes(_ hex: String) throws -> [UInt8] { try #require([UInt8](hex: hex)) }

    private static func keyPair(_ hex: String) throws -> X25519KeyPair {
        X25519KeyPair(secret: try bytes(hex))
    }

    /// The applicable vectors of flynn's file: `key=value` lines, a blank line between vectors.
    static func keyValue(_ path: String) throws -> [NoiseVector] {
        let text = try String(contentsOfFile: path, encoding: .utf8)
        return try text.components(separatedBy: "\n\n").compactMap { block in
            let lines = block.split(separator: "\n").filter { !$0.hasPrefix("#") }.map {
                $0.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
            }
            guard !lines.isEmpty else { return nil }
            let fields = Dictionary(lines.map { ($0[0], $0[1]) }) { first, _ in first }
            var vector = NoiseVector(protocolName: try #require(fields["handshake"]))
            guard vector.isApplicable else { return nil }
            vector.transportBeginsWithInitiator = true
            try vector.readSides(fields)
            for index in 0... {
                guard let payload = fields["msg_\(index)_payload"],
                    let ciphertext = fields["msg_\(index)_ciphertext"]
                else { break }
                vector.messages.append(
                    Message(payload: try bytes(payload), ciphertext: try bytes(ciphertext)))
            }
            return vector
        }
    }

    private mutating func readSides(_ fields: [String: String]) throws {
        initiator.s = try fields["init_static"].map(NoiseVector.keyPair)
        responder.s = try fields["resp_static"].map(NoiseVector.keyPair)
        initiator.e = try fields["gen_init_ephemeral"].map(NoiseVector.keyPair)
        responder.e = try fields["gen_resp_ephemeral"].map(NoiseVector.keyPair)
        if pattern?.initiatorPreMessage == [.s] { responder.rs = initiator.s?.publicKey }
        if pattern?.responderPreMessage == [.s] { initiator.rs = responder.s?.publicKey }
        let prologue = try NoiseVector.bytes(fields["prologue"] ?? "")
        let presharedKeys = try fields["preshared_key"].map {
            [SecretBytes(copying: try NoiseVector.bytes($0))]
        }
        (initiator.prologue, responder.prologue) = (prologue, prologue)
        initiator.presharedKeys = presharedKeys ?? []
        responder.presharedKeys = presharedKeys ?? []
    }
}
