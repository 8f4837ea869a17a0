// Waiting for something that will be so: asked again and again, with a deadline that only a failure meets.

import Foundation
import Testing

/// How long anything may take on a slow, loaded machine. Never a measurement.
let patience = Duration.seconds(20)

/// Asks until the answer isn't nil.
func awaited<Value>(
    _ what: @autoclosure () -> String, within limit: Duration = patience,
    sourceLocation: SourceLocation = #_sourceLocation,
    _ question: () async throws -> Value?
) async throws -> Value {
    let deadline = ContinuousClock.now + limit
    while true {
        if let value = try await question() { return value }
        if ContinuousClock.now > deadline {
            let failure = "\(what()) did not come about within \(limit)"
            Issue.record(Comment(rawValue: failure), sourceLocation: sourceLocation)
            throw HarnessError(failure)
        }
        try await Task.sleep(for: .milliseconds(10))
    }
}

/// Asks until it is so.
func eventually(
    _ what: @autoclosure () -> String, within limit: Duration = patience,
    sourceLocation: SourceLocation = #_sourceLocation,
    _ condition: () async throws -> Bool
) async throws {
    _ = try await awaited(what(), within: limit, sourceLocation: sourceLocation) {
        try await condition() ? true : nil
    }
}

/// Lets so many meshes live at once: each is several processes, and the machine may have two cores.
/// A suite's time limit holds the wait for a slot too, so that it is far above what any test takes.
actor Slots {
    static let shared = Slots(max(2, min(6, ProcessInfo.processInfo.activeProcessorCount + 1)))

    private var free: Int
    private var waiting: [CheckedContinuation<Void, Never>] = []

    init(_ count: Int) { free = count }

    func enter() async {
        if free > 0 {
            free -= 1
        } else {
            await withCheckedContinuation { waiting.append($0) }
        }
    }

    func leave() {
        if waiting.isEmpty {
            free += 1
        } else {
            waiting.removeFirst().resume()
        }
    }
}
