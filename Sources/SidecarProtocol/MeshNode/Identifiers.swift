// The names that core and shell give to what both of them hold.

/// A connection to or from a peer's sidecar. The core numbers those it dials, from 1; the shell numbers
/// those it accepts, from `LinkID.firstAccepted`.
package struct LinkID: Hashable, Comparable, Sendable {
    package let number: UInt64
    package init(number: UInt64) { self.number = number }
    package static let firstAccepted = LinkID(number: 1 << 32)
    package static func < (left: LinkID, right: LinkID) -> Bool { left.number < right.number }
}

/// A connection or UDP association of the workload, inside one sidecar. The shell numbers them from 1,
/// in both directions, and never uses a number twice.
package struct FlowHandle: Hashable, Comparable, Sendable {
    package let number: UInt64
    package init(number: UInt64) { self.number = number }
    package static func < (left: FlowHandle, right: FlowHandle) -> Bool { left.number < right.number }
}

/// A question that the workload's resolver asked; the shell numbers them.
package struct QueryID: Hashable, Sendable {
    package let number: UInt64
    package init(number: UInt64) { self.number = number }
}

/// A stream of a session: odd where the session's initiator opened it, even where its responder did.
package struct StreamID: Hashable, Comparable, Sendable {
    package let number: UInt32
    package init(number: UInt32) { self.number = number }
    package static func < (left: StreamID, right: StreamID) -> Bool { left.number < right.number }
}

/// An IPv4 (4 bytes) or IPv6 (16 bytes) address, in network order.
///
/// Held in place and not as an array: every connection makes several.
package struct IPAddress: Hashable, Sendable, CustomStringConvertible {
    /// The address's 128 bits; an IPv4 address is the last 32 of `low`.
    package let high: UInt64
    package let low: UInt64
    package let isIPv4: Bool

    package init?(_ bytes: [UInt8]) {
        guard bytes.count == 4 || bytes.count == 16 else { return nil }
        isIPv4 = bytes.count == 4
        high = isIPv4 ? 0 : bytes[..<8].reduce(0) { $0 << 8 | UInt64($1) }
        low = bytes.suffix(8).reduce(0) { $0 << 8 | UInt64($1) }
    }

    /// IPv4, from the number whose most significant byte is the first of the dotted form.
    package init(v4 number: UInt32) {
        isIPv4 = true
        high = 0
        low = UInt64(number)
    }

    /// IPv6, from its two halves.
    package init(high: UInt64, low: UInt64) {
        isIPv4 = false
        self.high = high
        self.low = low
    }

    package var isV6: Bool { !isIPv4 }

    package var v4: UInt32? { isIPv4 ? UInt32(truncatingIfNeeded: low) : nil }

    package var bytes: [UInt8] {
        let all = [high, low].flatMap { half in
            stride(from: UInt64(56), through: 0, by: -8).map { UInt8(truncatingIfNeeded: half >> $0) }
        }
        return isIPv4 ? Array(all.suffix(4)) : all
    }

    package var description: String {
        if let number = v4 {
            return "\(number >> 24).\(number >> 16 & 0xFF).\(number >> 8 & 0xFF).\(number & 0xFF)"
        }
        return textOfIPv6
    }

    /// RFC 5952: the longest run of zeros, of two groups at least, is written as `::`.
    private var textOfIPv6: String {
        let groups = [high, low].flatMap { half in
            [48, 32, 16, 0].map { UInt16(truncatingIfNeeded: half >> UInt64($0)) }
        }
        var longest = 0..<0
        var start = 0
        for (index, group) in groups.enumerated() {
            if group != 0 {
                start = index + 1
            } else if index + 1 - start > longest.count {
                longest = start..<index + 1
            }
        }
        func text(_ part: ArraySlice<UInt16>) -> String {
            part.map { String($0, radix: 16) }.joined(separator: ":")
        }
        guard longest.count > 1 else { return text(groups[...]) }
        return text(groups[..<longest.lowerBound]) + "::" + text(groups[longest.upperBound...])
    }
}

/// An address and port of either protocol.
package struct Endpoint: Hashable, Sendable, CustomStringConvertible {
    package var address: IPAddress
    package var port: UInt16

    package init(_ address: IPAddress, _ port: UInt16) {
        self.address = address
        self.port = port
    }

    package var description: String {
        address.isIPv4 ? "\(address):\(port)" : "[\(address)]:\(port)"
    }
}
