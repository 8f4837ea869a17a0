// The virtual network that the userland stack stands for (design §2): 198.18.0.0/15.

package enum StackNetwork {
    package static let gateway = IPv4Address(number: ReservedAddress.gateway)
    /// libslirp wants a name server of its own; nothing is ever sent there.
    package static let unusedNameServer = IPv4Address(number: ReservedAddress.unusedNameServer)
    package static let nameService = IPv4Address(number: ReservedAddress.nameService)
    package static let network = IPv4Address(number: ReservedAddress.network)
    package static let mask = IPv4Address(number: ReservedAddress.networkMask)
    /// Above 21,885 libslirp, which doesn't scale its window, stops sending window updates.
    package static let transmissionUnit = 16_384
    /// What libslirp writes as the source of its frames: 52:55, then the gateway's address.
    package static let gatewayHardware = HardwareAddress(number: 0x5255_0000_0000 | UInt64(gateway.number))

    package static func contains(_ address: IPv4Address) -> Bool {
        address.number & mask.number == network.number
    }

    /// 198.18.0.0/16 without gateway and unused name server: what the workload dials peers by.
    package static func isDialled(_ address: IPv4Address) -> Bool {
        address.number >> 16 == network.number >> 16 && address != gateway && address != unusedNameServer
    }
}

/// How far out of this host an address leads. Egress to `never` is refused whatever the allow-list says;
/// to `inward` unless the configuration lists the address itself.
package enum AddressReach: Hashable, Sendable {
    /// 0/8, 127/8, multicast, reserved and broadcast: in libslirp's hands these are the host's own.
    case never
    /// Private, shared and link-local ranges; the cloud's metadata service is one of the last.
    case inward
    case outward

    package init(_ address: IPv4Address) {
        switch address.number {
        case 0x0000_0000...0x00FF_FFFF, 0x7F00_0000...0x7FFF_FFFF, 0xE000_0000...0xFFFF_FFFF,
            0xC612_0000...0xC613_FFFF:
            self = .never
        case 0x0A00_0000...0x0AFF_FFFF, 0x6440_0000...0x647F_FFFF, 0xA9FE_0000...0xA9FE_FFFF,
            0xAC10_0000...0xAC1F_FFFF, 0xC000_0000...0xC000_00FF, 0xC0A8_0000...0xC0A8_FFFF:
            self = .inward
        default: self = .outward
        }
    }
}
