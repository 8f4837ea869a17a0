// Every pattern of the Noise specification (§7.4, §7.5, §18.1) and the hashes that the mesh doesn't
// speak: they exist to run the public vectors through the code that the product runs.

import CSodium
import SidecarProtocol

enum NoisePatterns {
    /// Pre-messages and messages, as the specification draws them, on one line each.
    private static let drawings: [String: String] = [
        "N": "<- s ... e es",
        "K": "-> s <- s ... e es ss",
        "X": "<- s ... e es s ss",
        "NN": "... e | e ee",
        "NK": "<- s ... e es | e ee",
        "NX": "... e | e ee s es",
        "XN": "... e | e ee | s se",
        "XK": "<- s ... e es | e ee | s se",
        "XX": "... e | e ee s es | s se",
        "KN": "-> s ... e | e ee se",
        "KK": "-> s <- s ... e es ss | e ee se",
        "KX": "-> s ... e | e ee se s es",
        "IN": "... e s | e ee se",
        "IK": "<- s ... e es s ss | e ee se",
        "IX": "... e s | e ee se s es",
        "NK1": "<- s ... e | e ee es",
        "NX1": "... e | e ee s | es",
        "X1N": "... e | e ee | s | se",
        "X1K": "<- s ... e es | e ee | s | se",
        "XK1": "<- s ... e | e ee es | s se",
        "X1K1": "<- s ... e | e ee es | s | se",
        "X1X": "... e | e ee s es | s | se",
        "XX1": "... e | e ee s | es s se",
        "X1X1": "... e | e ee s | es s | se",
        "K1N": "-> s ... e | e ee | se",
        "K1K": "-> s <- s ... e es | e ee | se",
        "KK1": "-> s <- s ... e | e ee se es",
        "K1K1": "-> s <- s ... e | e ee es | se",
        "K1X": "-> s ... e | e ee s es | se",
        "KX1": "-> s ... e | e ee se s | es",
        "K1X1": "-> s ... e | e ee s | se es",
        "I1N": "... e s | e ee | se",
        "I1K": "<- s ... e es s | e ee | se",
        "IK1": "<- s ... e s | e ee se es",
        "I1K1": "<- s ... e s | e ee es | se",
        "I1X": "... e s | e ee s es | se",
        "IX1": "... e s | e ee se s | es",
        "I1X1": "... e s | e ee s | se es",
    ]

    private static let tokens: [String: HandshakePattern.Token] = [
        "e": .e, "s": .s, "ee": .ee, "es": .es, "se": .se, "ss": .ss,
    ]

    /// The pattern of a name such as `XXpsk0+psk3`; nil for a name that isn't one.
    static func pattern(named name: String) -> HandshakePattern? {
        let base = name.prefix { !$0.isLowercase }
        guard let drawing = drawings[String(base)] else { return nil }
        let halves = drawing.split(separator: "...", omittingEmptySubsequences: false)
        var messages = halves[1].split(separator: "|").map { message in
            message.split(separator: " ").compactMap { tokens[String($0)] }
        }
        for modifier in name.dropFirst(base.count).split(separator: "+") {
            guard modifier.hasPrefix("psk"), let place = Int(modifier.dropFirst(3)) else { return nil }
            // psk0 stands before the first message, pskN at the end of the Nth (§9.4).
            if place == 0 { messages[0].insert(.psk, at: 0) } else { messages[place - 1].append(.psk) }
        }
        return HandshakePattern(
            name: name, initiatorPreMessage: halves[0].contains("-> s") ? [.s] : [],
            responderPreMessage: halves[0].contains("<- s") ? [.s] : [], messages: messages)
    }

    /// Nil for the hash that libsodium hasn't: BLAKE2s.
    static func hash(named name: String) -> (any NoiseHash.Type)? {
        switch name {
        case "SHA256": SHA256.self
        case "SHA512": SHA512.self
        case "BLAKE2b": BLAKE2b512.self
        default: nil
        }
    }
}

private enum SHA512: NoiseHash {
    static var noiseName: String { "SHA512" }
    static var hashByteCount: Int { 64 }
    static var blockByteCount: Int { 128 }

    static func hash(
        _ first: UnsafeRawBufferPointer, _ second: UnsafeRawBufferPointer,
        into out: UnsafeMutableRawBufferPointer
    ) {
        let joined = Array(first) + Array(second)
        crypto_hash_sha512(
            out.baseAddress!.assumingMemoryBound(to: UInt8.self), joined, UInt64(joined.count))
    }
}

private enum BLAKE2b512: NoiseHash {
    static var noiseName: String { "BLAKE2b" }
    static var hashByteCount: Int { 64 }
    static var blockByteCount: Int { 128 }

    static func hash(
        _ first: UnsafeRawBufferPointer, _ second: UnsafeRawBufferPointer,
        into out: UnsafeMutableRawBufferPointer
    ) {
        out.copyBytes(from: BLAKE2b.hash(Array(first) + Array(second), count: 64))
    }
}
