// Addresses as frames carry them: numbers, so that the path of every frame allocates nothing.

/// The 48 bits of an Ethernet address.
package struct HardwareAddress: Hashable, Sendable, CustomStringConvertible {
    package let number: UInt64

    /// The lower 48 bits of `number` count.
    package init(number: UInt64) { self.number = number & 0xFFFF_FFFF_FFFF }

    package init?(_ bytes: [UInt8]) {
        guard bytes.count == 6 else { return nil }
        self.init(number: bytes.reduce(0) { $0 << 8 | UInt64($1) })
    }

    init(_ frame: RawSpan, at offset: Int) {
        number = UInt64(frame.uint16(offset)) << 32 | UInt64(frame.uint32(offset + 2))
    }

    package static let broadcast = HardwareAddress(number: .max)

    package var description: String {
        stride(from: 40, through: 0, by: -8)
            .map { [UInt8(truncatingIfNeeded: number >> UInt64($0))].hex }.joined(separator: ":")
    }
}

/// An IPv4 address; the most significant byte of `number` is the first of the dotted form.
package struct IPv4Address: Hashable, Sendable, CustomStringConvertible {
    package let number: UInt32

    package init(number: UInt32) { self.number = number }

    package init(_ first: UInt8, _ second: UInt8, _ third: UInt8, _ fourth: UInt8) {
        number = UInt32(first) << 24 | UInt32(second) << 16 | UInt32(third) << 8 | UInt32(fourth)
    }

    /// The dotted form of four decimal numbers, or nil.
    package init?(_ text: String) {
        guard NetworkLiteral.isIPv4(text) else { return nil }
        number = text.split(separator: ".").reduce(0) { $0 << 8 | UInt32(UInt8($1) ?? 0) }
    }

    package var description: String {
        [24, 16, 8, 0].map { "\(UInt8(truncatingIfNeeded: number >> UInt32($0)))" }.joined(separator: ".")
    }
}

package struct IPv4Endpoint: Hashable, Sendable, CustomStringConvertible {
    package var address: IPv4Address
    package var port: UInt16

    package init(_ address: IPv4Address, _ port: UInt16) {
        self.address = address
        self.port = port
    }

    package var description: String { "\(address):\(port)" }
}

/// Source and destination of a flow, the workload's end first where nothing else is said.
package struct FourTuple: Hashable, Sendable, CustomStringConvertible {
    package var source: IPv4Endpoint
    package var destination: IPv4Endpoint

    package init(source: IPv4Endpoint, destination: IPv4Endpoint) {
        self.source = source
        self.destination = destination
    }

    package var reversed: FourTuple { FourTuple(source: destination, destination: source) }

    package var description: String { "\(source) → \(destination)" }
}
