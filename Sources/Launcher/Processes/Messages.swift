// What the launcher's own processes say to each other. All run the same executable.

import SidecarProtocol

/// From the builder to the launcher.
enum BuilderReport: Equatable {
    /// The builder is in A, whose maps the launcher has to write. It answers with one empty word.
    case wantsMaps
    case sidecar(processID: Int32)
    /// Descriptors beside it: A, W, M (veth only), TAP (where there is one).
    case network(SidecarNetwork)
    case initial(processID: Int32)
    case failed(String)
}

/// From init, and from the workload before it is one, to the launcher.
enum InitReport: Equatable {
    /// Sent by the workload's process itself, so that the kernel tells the launcher its number.
    case prepared
    case failed(String)
    case notExecuted(code: Int32)
    case stopped(signal: Int32)
    case continued
    case ended(waitStatus: Int32)
}

/// From the launcher to init.
enum InitOrder: Equatable {
    /// Somebody sent this to the launcher, with a value where sigqueue(3) gave one.
    case forward(signal: Int32, value: Int64?)
    /// The terminal is gone, and the launcher alone was told, as leader of its session.
    case hangUp(signal: Int32)
}

extension BuilderReport {
    func encoded() -> [UInt8] {
        switch self {
        case .wantsMaps: CBOR.array([.unsigned(1)]).encoded()
        case .sidecar(let id): CBOR.array([.unsigned(2), .signed(id)]).encoded()
        case .network(let network):
            CBOR.array([
                .unsigned(3), .text(network.datapath.rawValue), .bool(network.hasTAP),
                .bool(network.hasIPv6),
            ]).encoded()
        case .initial(let id): CBOR.array([.unsigned(4), .signed(id)]).encoded()
        case .failed(let why): CBOR.array([.unsigned(5), .text(why)]).encoded()
        }
    }

    init?(_ bytes: [UInt8]) {
        guard case .array(let parts)? = try? CBOR(canonical: bytes) else { return nil }
        switch (parts.first, parts.count) {
        case (.unsigned(1), 1): self = .wantsMaps
        case (.unsigned(2), 2):
            guard let id = parts[1].int32 else { return nil }
            self = .sidecar(processID: id)
        case (.unsigned(3), 4):
            guard case .text(let name) = parts[1], case .bool(let hasTAP) = parts[2],
                case .bool(let hasIPv6) = parts[3],
                let datapath = WorkloadConfiguration.Datapath(rawValue: name)
            else { return nil }
            self = .network(SidecarNetwork(datapath: datapath, hasTAP: hasTAP, hasIPv6: hasIPv6))
        case (.unsigned(4), 2):
            guard let id = parts[1].int32 else { return nil }
            self = .initial(processID: id)
        case (.unsigned(5), 2):
            guard case .text(let why) = parts[1] else { return nil }
            self = .failed(why)
        default: return nil
        }
    }
}

extension InitReport {
    func encoded() -> [UInt8] {
        switch self {
        case .prepared: CBOR.array([.unsigned(1)]).encoded()
        case .failed(let why): CBOR.array([.unsigned(2), .text(why)]).encoded()
        case .notExecuted(let code): CBOR.array([.unsigned(3), .signed(code)]).encoded()
        case .stopped(let signal): CBOR.array([.unsigned(4), .signed(signal)]).encoded()
        case .continued: CBOR.array([.unsigned(5)]).encoded()
        case .ended(let status): CBOR.array([.unsigned(6), .signed(status)]).encoded()
        }
    }

    init?(_ bytes: [UInt8]) {
        guard case .array(let parts)? = try? CBOR(canonical: bytes) else { return nil }
        let number = parts.count == 2 ? parts[1].int32 : nil
        switch (parts.first, parts.count, number) {
        case (.unsigned(1), 1, _): self = .prepared
        case (.unsigned(2), 2, _):
            guard case .text(let why) = parts[1] else { return nil }
            self = .failed(why)
        case (.unsigned(3), 2, let code?): self = .notExecuted(code: code)
        case (.unsigned(4), 2, let signal?): self = .stopped(signal: signal)
        case (.unsigned(5), 1, _): self = .continued
        case (.unsigned(6), 2, let status?): self = .ended(waitStatus: status)
        default: return nil
        }
    }
}

extension InitOrder {
    func encoded() -> [UInt8] {
        switch self {
        case .forward(let signal, let value):
            CBOR.array([
                .unsigned(1), .signed(signal),
                value.map { .unsigned(UInt64(bitPattern: $0)) } ?? .null,
            ]).encoded()
        case .hangUp(let signal): CBOR.array([.unsigned(2), .signed(signal)]).encoded()
        }
    }

    init?(_ bytes: [UInt8]) {
        guard case .array(let parts)? = try? CBOR(canonical: bytes), parts.count >= 2,
            let signal = parts[1].int32
        else { return nil }
        switch (parts[0], parts.count) {
        case (.unsigned(1), 3):
            switch parts[2] {
            case .null: self = .forward(signal: signal, value: nil)
            case .unsigned(let value): self = .forward(signal: signal, value: Int64(bitPattern: value))
            default: return nil
            }
        case (.unsigned(2), 2): self = .hangUp(signal: signal)
        default: return nil
        }
    }
}

extension CBOR {
    /// A 32-bit number by its bits.
    fileprivate static func signed(_ value: Int32) -> CBOR {
        .unsigned(UInt64(UInt32(bitPattern: value)))
    }

    fileprivate var int32: Int32? {
        guard case .unsigned(let value) = self, let bits = UInt32(exactly: value) else { return nil }
        return Int32(bitPattern: bits)
    }
}
