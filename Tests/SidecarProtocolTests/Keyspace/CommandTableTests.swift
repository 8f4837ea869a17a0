import Foundation
import Testing

@testable import SidecarProtocol

/// docs/COMMANDS.md is the command table, as written by MESH_WRITE_TABLES=1.
@Suite("The command table")
struct CommandTableTests {
    @Test("docs/COMMANDS.md says what the table says")
    func document() throws {
        let place = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().deletingLastPathComponent().appending(path: "docs/COMMANDS.md")
        let text = CommandTableTests.text
        if ProcessInfo.processInfo.environment["MESH_WRITE_TABLES"] != nil {
            try text.write(to: place, atomically: true, encoding: .utf8)
        }
        #expect(
            try String(contentsOf: place, encoding: .utf8) == text,
            "run the tests once with MESH_WRITE_TABLES=1, and read what changed")
    }

    private static var text: String {
        var lines = [
            "# Commands of the state", "",
            "What a workload finds at `state.mesh:6379`. The semantics and the errors are those of Redis 7.0; this",
            "page is written from the command table (Sources/SidecarProtocol/Keyspace/Table), and a test compares",
            "it. *Conditional*: under `consistency: eventual` the command is atomic on its own replica only.",
            "",
        ]
        for group in Command.Group.allCases {
            let commands = CommandTable.standard.commands.filter { $0.group == group }
            lines += [
                "## \(group.rawValue)", "", "| command | since | modes | conditional | |",
                "| --- | --- | --- | --- | --- |",
            ]
            for command in commands {
                let rows = command.subcommands.isEmpty ? [command] : command.subcommands
                lines += rows.filter { !$0.name.hasSuffix("|help") }.map(row)
            }
            lines.append("")
        }
        lines += ["## What replicas make of it", ""] + notes + [""]
        lines += ["## Keyspace notifications", ""] + notifications + [""]
        lines += [
            "## What is missing", "", "A call of one of these is answered with `ERR unknown command`.", "",
        ]
        for (group, names) in MissingCommands.all {
            let list = names.split(separator: " ").map { "`\($0.replacing("|", with: " "))`" }
            lines.append("- \(group): " + list.joined(separator: ", "))
        }
        return lines.joined(separator: "\n") + "\n"
    }

    /// What the table can't say.
    private static let notes = [
        "- `SETBIT`, `BITFIELD`, `BITOP`, `APPEND` and `SETRANGE` write the string as a whole: of two replicas' writes at",
        "  the same time the later stays.",
        "- A HyperLogLog is such a string too: what `PFADD` does on two replicas at the same time is that of one of them",
        "  afterwards. Give each replica a key of its own, and count with `PFCOUNT` over all of them. `PFCOUNT` is a read",
        "  here: it doesn't remember the count in the string, as Redis does.",
        "- Places are members of a sorted set: of two replicas' `GEOADD` of one member the later stays.",
        "- `GEOSEARCH` and `GEORADIUS` without `ASC`, `DESC` or `COUNT` answer in an order of their own, and find members at",
        "  the very ends of the world, and half the globe away, that Redis leaves out.",
        "- `XTRIM … MINID` goes by the ids. After an `XSETID` back behind deleted entries Redis keeps later ones behind those,",
        "  and stops at the first deleted one that is greater.",
        "- `SORT … STORE` and `RESTORE` write the value as a whole, over what stood there.",
        "- `DUMP` writes the format of Redis 7.0 in its plain encodings, without compression; `RESTORE` reads what Redis 4",
        "  to 7.0 dumps, but streams.",
        "- `CONFIG SET maxmemory` sets less than the workload's config grants (`memory`), and never more.",
        "- `BGSAVE` and `BGREWRITEAOF` make a snapshot of the log, which holds every write without them.",
        "- `CRDT.*` and `MESH.*` are mesh's own, for redis-cli. `CRDT.FORGET` takes a name that `CRDT.REPLICAS` lists, with",
        "  or without its epoch: a replica that ended and whose folder is gone. Its changes stay; should it come back, it",
        "  is refused, also after further starts, while its own clients are answered as ever; its log and `INFO crdt`",
        "  (`crdt_refused_by`) say so. `mesh state import --anew` brings back what it holds.",
        "- `CRDT.REPLICAS` lists each run of a replica: the name is its folder's, the number behind the point counts starts.",
        "  `standing` is `own` for the one that answers, `live` for others and for runs whose end isn't known yet, `left` for",
        "  those of which a later start is known, or that were forgotten, `sealed` once the others agree on its last change,",
        "  and `retired` once all have that. What each had `seen` is as of the last round of gossip, a second ago at most.",
        "- `INFO crdt`: `crdt_replica` (its own name), `crdt_peers` (replicas it is connected with), `crdt_version`",
        "  (the last change seen of each run), `crdt_commits` (own deltas), `crdt_joins`, `crdt_duplicates` and",
        "  `crdt_waited` (deltas of others that were new, that were known, and that came before those they follow",
        "  upon), `crdt_refused` (messages of others that weren't taken: the log says why), `crdt_refused_by`",
        "  (replicas that take nothing from here), `crdt_clocks_ahead` (replicas whose changes wait, and by how many",
        "  milliseconds they lie ahead of the clock), `crdt_reconciliations` (times at which another's state was",
        "  taken over, since the logs didn't reach back), and what was sent.",
        "- `INFO storage`: the last record (`storage_records`) and the last one on disk (`storage_durable`), what the",
        "  log and its snapshot take, how often it was synced, what waits for the disk (`storage_unwritten_bytes`),",
        "  and whether that is full.",
    ]

    private static let notifications = [
        "`CONFIG SET notify-keyspace-events` takes the letters of Redis 7.0 (`KEg$lshzxetdnmA`), is for one replica, and is",
        "forgotten when it ends. Off, as at the start, it costs nothing. The events' names and their order are Redis's.",
        "",
        "- A replica publishes what its own clients do, what expires there, and what other replicas change, each to its own",
        "  subscribers: none goes over the wire, so nobody hears of a change twice.",
        "- Of another replica's change only what it makes of a key is known here. That is told as the command would tell it",
        "  that does no more: `set`, `hset`, `hdel`, `sadd`, `srem`, `zadd`, `zrem`, `xadd`, `xdel`, `xsetid`, `lpush`,",
        "  `rpush`, `linsert`, `lset`, `lpop`, `rpop`, `lrem`, `expire`, `persist`, `del`, `new`; once where several alike",
        "  follow each other. So an `INCR` or an `APPEND` there is a `set` here, a `RENAME` a `del` and what makes the",
        "  value, and the last `SREM` of a set a `del`. A key that a merge leaves as it was isn't told; one that both sides",
        "  of a partition changed may be told as `del`, `new` and what makes its value.",
        "- A transaction's and a script's events are published when it is done, not while it runs. Of more than 262,144",
        "  events at once those beyond aren't published.",
        "- Never published: `evicted`, since nothing is evicted; modules' events and those of consumer groups, which aren't",
        "  there. `FLUSHALL`, `FLUSHDB` and `SWAPDB` have no events in Redis either.",
    ]

    private static func row(_ command: Command) -> String {
        var modes: [String] = []
        if command.modes == .all {
            modes = ["all"]
        } else {
            if command.modes.contains(.none) { modes.append("none") }
            if command.modes.contains(.eventual) { modes.append("eventual") }
            if command.modes.contains(.strong) { modes.append("strong") }
        }
        let condition =
            switch command.conditional {
            case .never: ""
            case .always: "yes"
            case .withWords(let words): "with " + words.map { "\($0)".uppercased() }.joined(separator: ", ")
            }
        let name = command.name.uppercased().replacing("|", with: " ")
        return
            "| `\(name)` | \(command.since) | \(modes.joined(separator: ", ")) | \(condition) | \(command.summary) |"
    }

    @Test("every command is found by its name in any case, and no other is")
    func names() {
        let table = CommandTable.standard
        for (index, command) in table.commands.enumerated() {
            #expect(table.index(of: ByteString(command.name)) == index)
            #expect(table.index(of: ByteString(command.name.uppercased())) == index)
            for subcommand in command.subcommands { #expect(subcommand.name.hasPrefix(command.name + "|")) }
        }
        for name in ["", "ge", "gett", "nosuch"] { #expect(table.index(of: ByteString(name)) == nil) }
    }

    @Test("no command is both there and missing")
    func missing() {
        for (_, names) in MissingCommands.all {
            for name in names.split(separator: " ") where !name.contains("|") {
                #expect(CommandTable.standard.command(ByteString(name)) == nil, "\(name)")
            }
        }
    }
}
