/// What the workload's own configuration says of its state, and what CONFIG SET may change of it.
package struct StateConfiguration: Sendable {
    package enum Consistency: String, Sendable {
        case none, eventual, strong

        var mode: Command.Modes {
            switch self {
            case .none: .none
            case .eventual: .eventual
            case .strong: .strong
            }
        }
    }

    /// What becomes of commands that are atomic on their own replica only.
    package enum Conditional: String, Sendable {
        case allow, warn, deny
    }

    package var consistency = Consistency.none
    package var conditional = Conditional.allow
    /// nil: nobody has to say AUTH.
    package var password: ByteString?
    /// Bytes that keys may take; 0: any number.
    package var memoryMaximum = 0
    package var clientsMaximum = Limits.stateClientsMaximum
    /// Whether DEBUG is there, for tests.
    package var allowsDebug = false
    package var keyspace = KeyspaceSettings()
    /// The port that INFO tells.
    package var port: UInt16 = 6379
    /// Settings that are remembered and told, and change nothing.
    var remembered: [(name: String, value: ByteString)] = StateConfiguration.defaults

    package init() {}
}
