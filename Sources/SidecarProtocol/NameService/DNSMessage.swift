// DNS messages (RFC 1035 §4): the questions of the workload's resolver and our answers to them.
//
// We read one question, with the EDNS size that came beside it (RFC 6891), and write its answer. What we
// can't read is answered FORMERR where at least the header is there, and dropped otherwise. Names in
// questions are never compressed by a resolver; a pointer in one is refused.

package struct DNSQuestion: Hashable, Sendable {
    package enum Kind: UInt16, Hashable, Sendable {
        case a = 1
        case ptr = 12
        case aaaa = 28
    }

    package var id: UInt16
    package var recursionDesired: Bool
    /// The question as it came, name, type and class: repeated in the answer, letter case and all.
    package var section: [UInt8]
    /// Lower case, without the last dot.
    package var name: String
    /// The numeric type; `kind` where we answer it with records.
    package var type: UInt16
    /// The largest UDP answer that the resolver takes, 512 where it doesn't say.
    package var payloadBytesMaximum: Int
    package var hasEDNS: Bool

    package var kind: Kind? { Kind(rawValue: type) }
}

package enum DNSRefusal: Error, Hashable, Sendable {
    /// Not even a header, or no question: no answer at all.
    case drop
    /// Answer with this response code and the id that was read.
    case answer(id: UInt16, code: UInt8)
}

package enum DNSCode {
    package static let noError: UInt8 = 0
    package static let formatError: UInt8 = 1
    package static let serverFailure: UInt8 = 2
    package static let nameError: UInt8 = 3
    package static let notImplemented: UInt8 = 4
    package static let refused: UInt8 = 5
}

extension DNSQuestion {
    package init(reading bytes: [UInt8]) throws(DNSRefusal) {
        guard bytes.count >= 12, bytes[2] & 0x80 == 0 else { throw .drop }
        id = UInt16(bytes[0]) << 8 | UInt16(bytes[1])
        let malformed = DNSRefusal.answer(id: id, code: DNSCode.formatError)
        guard bytes[2] >> 3 & 0x0F == 0 else {
            throw .answer(id: id, code: DNSCode.notImplemented)
        }
        recursionDesired = bytes[2] & 1 == 1
        guard DNSQuestion.count(bytes, at: 4) == 1 else { throw malformed }
        guard let (name, end) = DNSQuestion.name(in: bytes, at: 12), end + 4 <= bytes.count else {
            throw malformed
        }
        self.name = name
        type = DNSQuestion.count(bytes, at: end)
        guard DNSQuestion.count(bytes, at: end + 2) == 1 else {
            throw .answer(id: id, code: DNSCode.refused)
        }
        section = Array(bytes[12..<end + 4])
        payloadBytesMaximum = 512
        hasEDNS = false
        // OPT: root name, type 41, and the payload size where others have their class.
        let additional = end + 4
        if DNSQuestion.count(bytes, at: 10) >= 1, DNSQuestion.count(bytes, at: 6) == 0,
            DNSQuestion.count(bytes, at: 8) == 0, additional + 11 <= bytes.count,
            bytes[additional] == 0, DNSQuestion.count(bytes, at: additional + 1) == 41
        {
            hasEDNS = true
            payloadBytesMaximum = max(512, min(4096, Int(DNSQuestion.count(bytes, at: additional + 3))))
        }
    }

    private static func count(_ bytes: [UInt8], at offset: Int) -> UInt16 {
        UInt16(bytes[offset]) << 8 | UInt16(bytes[offset + 1])
    }

    private static func name(in bytes: [UInt8], at start: Int) -> (String, end: Int)? {
        var labels: [String] = []
        var offset = start
        while offset < bytes.count, offset - start < 255 {
            let length = Int(bytes[offset])
            offset += 1
            if length == 0 { return (labels.joined(separator: "."), offset) }
            guard length <= 63, offset + length <= bytes.count else { return nil }
            let label = bytes[offset..<offset + length].map(lowerCase)
            guard label.allSatisfy({ (0x21...0x7E).contains($0) && $0 != UInt8(ascii: ".") }) else {
                return nil
            }
            labels.append(String(decoding: label, as: UTF8.self))
            offset += length
        }
        return nil
    }

    private static func lowerCase(_ byte: UInt8) -> UInt8 {
        (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(byte) ? byte | 0x20 : byte
    }
}

// MARK: - Answers

extension DNSQuestion {
    /// How long resolvers may keep an answer: short, since a name's fate may change at any time.
    package static let timeToLiveSeconds: UInt32 = 5

    package func answer(code: UInt8) -> [UInt8] { response(code: code, records: []) }

    package func answer(addresses: [IPAddress], timeToLive: UInt32 = timeToLiveSeconds) -> [UInt8] {
        let records = addresses.map { address in
            record(type: address.isIPv4 ? .a : .aaaa, timeToLive, address.bytes)
        }
        return response(code: DNSCode.noError, records: records)
    }

    package func answer(pointer name: String) -> [UInt8] {
        var data: [UInt8] = []
        for label in name.split(separator: ".") {
            data.append(UInt8(truncatingIfNeeded: label.utf8.count))
            data += Array(label.utf8)
        }
        data.append(0)
        return response(
            code: DNSCode.noError, records: [record(type: .ptr, DNSQuestion.timeToLiveSeconds, data)])
    }

    /// The same answer with the truncation bit and no records, for UDP where it would be too long.
    package func fitting(_ response: [UInt8]) -> [UInt8] {
        guard response.count > payloadBytesMaximum else { return response }
        var short = self.response(code: response[3] & 0x0F, records: [])
        short[2] |= 0x02
        return short
    }

    /// An answer to what couldn't be read as a question.
    package static func refusal(id: UInt16, code: UInt8) -> [UInt8] {
        [UInt8(id >> 8), UInt8(id & 0xFF), 0x80, 0x80 | code, 0, 0, 0, 0, 0, 0, 0, 0]
    }

    private func record(type: Kind, _ timeToLive: UInt32, _ data: [UInt8]) -> [UInt8] {
        // 0xC00C points at the question's name.
        var bytes: [UInt8] = [0xC0, 0x0C, 0, UInt8(type.rawValue & 0xFF), 0, 1]
        for shift in [24, 16, 8, 0] { bytes.append(UInt8(truncatingIfNeeded: timeToLive >> UInt32(shift))) }
        bytes += [UInt8(truncatingIfNeeded: data.count >> 8), UInt8(truncatingIfNeeded: data.count)]
        return bytes + data
    }

    private func response(code: UInt8, records: [[UInt8]]) -> [UInt8] {
        var out: [UInt8] = [UInt8(id >> 8), UInt8(id & 0xFF)]
        // A response, authoritative, recursion available; recursion desired as it was asked.
        out += [0x84 | (recursionDesired ? 1 : 0), 0x80 | code]
        out += [0, 1, UInt8(records.count >> 8 & 0xFF), UInt8(records.count & 0xFF), 0, 0]
        out += [0, hasEDNS ? 1 : 0]
        out += section
        for record in records { out += record }
        if hasEDNS { out += [0, 0, 41, 0x10, 0x00, 0, 0, 0, 0, 0, 0] }
        return out
    }
}
