// Handshake patterns (Noise specification, revision 34, §7), and the two that the mesh speaks.

package struct HandshakePattern: Hashable, Sendable {
    package enum Token: Hashable, Sendable { case e, s, ee, es, se, ss, psk }

    /// As protocol names spell it, modifiers included: `XK`, `XXpsk3`.
    package let name: String
    /// What the responder knows of the initiator beforehand: `e` and `s` only.
    package let initiatorPreMessage: [Token]
    package let responderPreMessage: [Token]
    /// The initiator writes the first, the responder the second, and so on.
    package let messages: [[Token]]

    package init(
        name: String, initiatorPreMessage: [Token] = [], responderPreMessage: [Token] = [],
        messages: [[Token]]
    ) {
        self.name = name
        self.initiatorPreMessage = initiatorPreMessage
        self.responderPreMessage = responderPreMessage
        self.messages = messages
    }

    var usesPresharedKeys: Bool { messages.contains { $0.contains(.psk) } }

    // swift-format-ignore: AlwaysUseLowerCamelCase
    /// Between sidecars: an announcement has told the responder's static key.
    package static let XK = HandshakePattern(
        name: "XK", responderPreMessage: [.s], messages: [[.e, .es], [.e, .ee], [.s, .se]])

    // swift-format-ignore: AlwaysUseLowerCamelCase
    /// Between nodes, for seeds that are known by address only.
    package static let XX = HandshakePattern(
        name: "XX", messages: [[.e], [.e, .ee, .s, .es], [.s, .se]])
}
