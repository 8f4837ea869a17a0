import SidecarProtocol

struct Options: Sendable {
    var name = "nameless"
    var serves = false
    var joins = false
    var isNamed = true
    var configuration = "config"
    var subscriptions: [String] = []
    var instance = InstanceID((0..<16).map { _ in UInt8.random(in: 0...255) })!
    var incarnation: UInt64 = 1
    var launcher: Int32 = 0

    init(_ arguments: [String]) {
        var rest = arguments[...]
        name = rest.popFirst() ?? name
        while let option = rest.popFirst() {
            switch option {
            case "--serve": serves = true
            case "--join": joins = true
            case "--unnamed": isNamed = false
            case "--config": configuration = rest.popFirst() ?? configuration
            case "--subscribe": subscriptions.append(rest.popFirst() ?? "")
            case "--instance":
                instance = rest.popFirst().flatMap { [UInt8](hex: $0) }.flatMap { InstanceID($0) } ?? instance
            case "--incarnation": incarnation = rest.popFirst().flatMap { UInt64($0) } ?? incarnation
            case "--launcher": launcher = rest.popFirst().flatMap { Int32($0) } ?? launcher
            default: preconditionFailure("unknown option \(option)")
            }
        }
    }
}
