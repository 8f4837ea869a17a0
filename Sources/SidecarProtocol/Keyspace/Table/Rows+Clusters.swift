// Rows of the command table: there is no cluster, and clients hear so.

extension CommandTable {
    static let clusters: [Command] = [
        Command(
            "asking", 1, .cluster, "3.0.0", [.fast], acl: "fast connection",
            "Answered with an error: there is no cluster",
            .server { s throws(CommandError) in try s.refuseCluster() }),
        Command(
            "cluster", -2, .cluster, "3.0.0", [.stale], acl: "slow",
            "Answered with an error: there is no cluster",
            .server { s throws(CommandError) in try s.refuseCluster() }),
        Command(
            "readonly", 1, .cluster, "3.0.0", [.loading, .stale, .fast], acl: "fast connection",
            "Answered with an error: there is no cluster",
            .server { s throws(CommandError) in try s.refuseCluster() }),
        Command(
            "readwrite", 1, .cluster, "3.0.0", [.loading, .stale, .fast], acl: "fast connection",
            "Answered with an error: there is no cluster",
            .server { s throws(CommandError) in try s.refuseCluster() }),
    ]
}
