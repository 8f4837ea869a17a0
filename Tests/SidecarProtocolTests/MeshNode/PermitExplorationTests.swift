import Testing

@testable import SidecarProtocol

/// Every schedule of what can happen to two sidecars, up to a depth: see `PermitState`.
@Suite("Every schedule of two sidecars") struct PermitExplorationTests {
    struct Found {
        var states = 0
        var transitions = 0
        /// States in which some byte could move, and states in which none could.
        var moving = 0
        var violation: String?
    }

    /// Breadth first, each state once.
    static func explore(_ script: PermitScript, from start: PermitState, depth: Int) -> Found {
        var found = Found()
        var seen: Set<Int> = [start.fingerprint]
        var frontier = [(state: start, path: [PermitAction]())]
        for _ in 0..<depth {
            var next: [(state: PermitState, path: [PermitAction])] = []
            for (state, path) in frontier {
                for action in script.actions {
                    guard let after = state.after(action) else { continue }
                    found.transitions += 1
                    if let violation = after.violation {
                        found.violation = "\(script.name): \(path + [action]): \(violation)"
                        return found
                    }
                    guard seen.insert(after.fingerprint).inserted else { continue }
                    if after.isMoving { found.moving += 1 }
                    next.append((after, path + [action]))
                }
            }
            frontier = next
        }
        found.states = seen.count
        return found
    }

    @Test("no schedule moves a byte without a valid permit", arguments: 0..<6)
    func exploration(index: Int) throws {
        let script = try PermitScript.all()[index]
        let open = try #require(script.open())
        #expect(open.isMoving && open.violation == nil)
        for (start, depth) in [(open, 5), (script.initial(), 6)] {
            let found = Self.explore(script, from: start, depth: depth)
            #expect(found.violation == nil)
            // Not for want of anything that happens.
            #expect(found.states > 300 && found.moving > 0)
            print("\(script.name): \(found.states) states, \(found.transitions) transitions")
        }
    }

    @Test("each fault that is put in is found", arguments: PermitMutant.allCases.filter { $0 != .none })
    func mutants(mutant: PermitMutant) throws {
        let found = try PermitScript.all().contains { script in
            var script = script
            script.mutant = mutant
            guard let open = script.open() else { return true }
            return Self.explore(script, from: open, depth: 4).violation != nil
        }
        #expect(found)
    }
}
