// How fast the simulator's world of replicas runs: virtual time against this process's. Tests/Benchmarks/simulation
// runs it and shows what it prints, a line of JSON. A seed that fails is printed with the steps that it needs.
//
//   ReplicaWorldProbe [SEEDS [FIRST]]

import Glibc
import SidecarProtocol
import Simulator

func processorSeconds() -> Double {
    var time = timespec()
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time)
    return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
}

let arguments = CommandLine.arguments.dropFirst().compactMap { UInt64($0) }
let count = arguments.first ?? 300
let first = arguments.dropFirst().first ?? 1
let begun = processorSeconds()
var simulated = 0.0
var healing = 0.0
var counts = ReplicaWorld.Counts()
for seed in first..<first + count {
    let scenario = ReplicaScenario(seed: seed)
    let outcome = scenario.run()
    simulated += outcome.simulated.seconds
    healing = max(healing, outcome.healing.seconds)
    counts += outcome.counts
    if let violation = outcome.violation {
        print("seed \(seed): \(violation)\n\(scenario.shrunk())")
        exit(1)
    }
}
let spent = processorSeconds() - begun
print(
    """
    {"seeds": \(count), "virtual_s": \(simulated), "processor_s": \(spent), "speed": \(simulated / spent), \
    "healing_s": \(healing), "events": \(counts.events), "requests": \(counts.requests), \
    "acknowledged": \(counts.acknowledged), "refused": \(counts.refused), "messages": \(counts.messages), \
    "crashes": \(counts.crashes), "equalities": \(counts.equalities), \
    "reconciliations": \(counts.reconciliations), "snapshots": \(counts.snapshots)}
    """)
