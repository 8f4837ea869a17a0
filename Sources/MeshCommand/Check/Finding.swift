/// One line of `mesh check`.
struct Finding: Equatable {
    enum State: String {
        case ok
        /// Something works less well, or not for everybody.
        case note
        /// mesh-launch can't work, or an instance is about to fail.
        case bad
    }

    let subject: String
    let state: State
    let text: String
    /// What to do; empty where nothing is to be done.
    let fix: String

    static func ok(_ subject: String, _ text: String) -> Finding {
        Finding(subject: subject, state: .ok, text: text, fix: "")
    }

    static func note(_ subject: String, _ text: String, fix: String) -> Finding {
        Finding(subject: subject, state: .note, text: text, fix: fix)
    }

    static func bad(_ subject: String, _ text: String, fix: String) -> Finding {
        Finding(subject: subject, state: .bad, text: text, fix: fix)
    }

    var json: JSON {
        .object([
            "subject": .text(subject), "state": .text(state.rawValue), "text": .text(text), "fix": .text(fix),
        ])
    }
}
