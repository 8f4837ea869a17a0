// Commands about what there is not, whose answer is true all the same: clients ask before they know.

extension StateServer {
    // MARK: Functions (function.c): there are none.

    mutating func flushFunctions() throws(CommandError) {
        let arguments = keyspace.arguments
        guard
            arguments.count == 2
                || arguments.count == 3 && (arguments[2].isWord("sync") || arguments[2].isWord("async"))
        else { throw CommandError("FUNCTION FLUSH only supports SYNC|ASYNC option") }
        keyspace.reply.ok()
    }

    mutating func listFunctions() throws(CommandError) {
        let arguments = keyspace.arguments
        var (hasCode, hasName, place) = (false, false, 2)
        while place < arguments.count {
            if !hasCode, arguments[place].isWord("withcode") {
                hasCode = true
            } else if !hasName, arguments[place].isWord("libraryname") {
                hasName = true
                place += 1
                guard place < arguments.count else {
                    throw CommandError("library name argument was not given")
                }
            } else {
                throw CommandError("Unknown argument ", arguments[place])
            }
            place += 1
        }
        keyspace.reply.emptyArray()
    }

    // MARK: Clusters (cluster.c)

    mutating func refuseCluster() throws(CommandError) {
        throw CommandError("This instance has cluster support disabled")
    }

    // MARK: Client tracking (tracking.c)

    mutating func setTracking() throws(CommandError) {
        let word = keyspace.arguments[2]
        if word.isWord("off"), keyspace.arguments.count == 3 { return keyspace.reply.ok() }
        guard word.isWord("on") else { throw .syntax }
        throw CommandError("this server tells no client of changed keys: there is no tracking")
    }

    mutating func trackingRedirection() { keyspace.reply.integer(-1) }

    mutating func trackingInfo() {
        keyspace.reply.map(3)
        keyspace.reply.bulk("flags")
        keyspace.reply.set(1)
        keyspace.reply.bulk("off")
        keyspace.reply.bulk("redirect")
        keyspace.reply.integer(-1)
        keyspace.reply.bulk("prefixes")
        keyspace.reply.emptyArray()
    }

    mutating func setCaching() throws(CommandError) {
        throw CommandError(
            "CLIENT CACHING can be called only when the client is in tracking mode with OPTIN or OPTOUT mode "
                + "enabled")
    }

    // MARK: A configuration file, users, modules

    mutating func rewriteSettings() throws(CommandError) {
        throw CommandError("The server is running without a config file")
    }

    mutating func listUsers() {
        keyspace.reply.array(1)
        keyspace.reply.bulk("default")
    }

    mutating func listModules() { keyspace.reply.emptyArray() }
}
