/// Finds the few steps of a failing run that matter: delta debugging (Zeller and Hildebrandt 2002, ddmin).
package enum Shrinker {
    /// - Parameters:
    ///   - fails: whether a run of these steps alone still fails, in the same way.
    ///   - runsMaximum: after so many runs the best so far is taken.
    /// - Returns: steps of which none can be left out, in their order.
    package static func minimal<Step>(
        _ steps: [Step], runsMaximum: Int = 2_000, fails: ([Step]) -> Bool
    ) -> [Step] {
        var steps = steps
        var parts = 2
        var runs = 0
        while steps.count >= 2, runs < runsMaximum {
            let size = (steps.count + parts - 1) / parts
            var isSmaller = false
            for start in stride(from: 0, to: steps.count, by: size) {
                let rest = Array(steps[..<start] + steps[min(steps.count, start + size)...])
                runs += 1
                guard fails(rest) else { continue }
                steps = rest
                parts = max(parts - 1, 2)
                isSmaller = true
                break
            }
            if isSmaller { continue }
            if parts >= steps.count { break }
            parts = min(steps.count, parts * 2)
        }
        if steps.count == 1, fails([]) { return [] }
        return steps
    }
}
