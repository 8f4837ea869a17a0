import SidecarProtocol

package struct AddressPrefix: Equatable, Sendable, CustomStringConvertible {
    package var address: IPAddress
    package var length: UInt8

    package init(_ address: IPAddress, _ length: UInt8) {
        self.address = address
        self.length = length
    }

    /// The address alone.
    package init(_ address: IPAddress) { self.init(address, UInt8(address.bytes.count * 8)) }

    package var description: String { "\(address)/\(length)" }
}
