// Rows of the command table.

extension CommandTable {
    static let pubsub: [Command] = [
        Command(
            "psubscribe", -2, .pubsub, "2.0.0", [.pubsub, .noscript, .loading, .stale], acl: "pubsub slow",
            "Listen for messages published to channels matching the given patterns",
            .server { s throws(CommandError) in try s.subscribe(isPattern: true) }),
        Command(
            "publish", 3, .pubsub, "2.0.0", [.pubsub, .loading, .stale, .fast, .mayReplicate],
            acl: "pubsub fast",
            "Post a message to a channel", .server { s throws(CommandError) in s.publish() }),
        Command(
            "pubsub", -2, .pubsub, "2.8.0", [], acl: "slow", "A container for Pub/Sub commands",
            .container,
            [
                Command(
                    "pubsub|channels", -2, .pubsub, "2.8.0", [.pubsub, .loading, .stale], acl: "pubsub slow",
                    "List active channels", .server { s throws(CommandError) in s.listChannels() }),
                Command(
                    "pubsub|help", 2, .pubsub, "6.2.0", [.loading, .stale], acl: "slow",
                    "Show helpful text about the different subcommands",
                    .server { s throws(CommandError) in s.help("pubsub") }),
                Command(
                    "pubsub|numpat", 2, .pubsub, "2.8.0", [.pubsub, .loading, .stale], acl: "pubsub slow",
                    "Get the count of unique patterns pattern subscriptions",
                    .server { s throws(CommandError) in s.countPatterns() }),
                Command(
                    "pubsub|numsub", -2, .pubsub, "2.8.0", [.pubsub, .loading, .stale], acl: "pubsub slow",
                    "Get the count of subscribers for channels",
                    .server { s throws(CommandError) in s.countSubscribers() }),
            ]),
        Command(
            "punsubscribe", -1, .pubsub, "2.0.0", [.pubsub, .noscript, .loading, .stale],
            acl: "pubsub slow",
            "Stop listening for messages posted to channels matching the given patterns",
            .server { s throws(CommandError) in s.unsubscribe(isPattern: true) }),
        Command(
            "subscribe", -2, .pubsub, "2.0.0", [.pubsub, .noscript, .loading, .stale], acl: "pubsub slow",
            "Listen for messages published to the given channels",
            .server { s throws(CommandError) in try s.subscribe(isPattern: false) }),
        Command(
            "unsubscribe", -1, .pubsub, "2.0.0", [.pubsub, .noscript, .loading, .stale],
            acl: "pubsub slow", "Stop listening for messages posted to the given channels",
            .server { s throws(CommandError) in s.unsubscribe(isPattern: false) }),
    ]
}
