/// What must hold of whatever a client sends. Fuzz targets and mutation tests call these; each ends the
/// process where a property doesn't hold.
package enum StateProperties {
    package static let all: [(name: String, check: @Sendable ([UInt8]) -> Void)] = [
        ("resp-request", request), ("state-server", server),
    ]

    /// What clients send in earnest.
    package static let seeds: [[UInt8]] = [
        "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$5\r\nhello\r\n*2\r\n$3\r\nGET\r\n$1\r\nk\r\n",
        "MULTI\r\nZADD z 1.5 a inf b\r\nZRANGE z 0 -1 WITHSCORES\r\nLPUSH l 1 2 3\r\nEXEC\r\nBLPOP l 0\r\n",
        "HSET h f \"v \\x41\"\r\nHINCRBY h n 9223372036854775807\r\nSADD s 1 2 x\r\nSPOP s 2\r\nSCAN 0 COUNT 5\r\n",
        "SUBSCRIBE c\r\nHELLO 3\r\nSETRANGE k 10 x\r\nLCS k k IDX\r\nGETRANGE k -3 -1\r\nEXPIRE k 10 NX\r\n",
    ].map { Array($0.utf8) }

    /// Divided anywhere, the same bytes are the same requests.
    @Sendable package static func request(_ bytes: [UInt8]) {
        let whole = requests([bytes[...]])
        let middle = bytes.count / 2
        precondition(requests([bytes[..<middle], bytes[middle...]]) == whole)
        precondition(requests(bytes.indices.map { bytes[$0..<$0 + 1] }) == whole)
    }

    private static func requests(_ pieces: [ArraySlice<UInt8>]) -> [[ByteString]] {
        var parser = RequestParser()
        var requests: [[ByteString]] = []
        for piece in pieces {
            piece.withUnsafeBytes { parser.append($0) }
            while parser.next() == .request { requests.append(Array(parser.arguments)) }
        }
        return requests
    }

    /// Nothing that is sent ends the server, and what it says of its changes makes an equal keyspace.
    @Sendable package static func server(_ bytes: [UInt8]) {
        let now = Now(monotonic: MonotonicTime(nanoseconds: 1), wall: WallTime(seconds: 1_700_000_000))
        var server = StateServer(configuration: StateConfiguration(), seed: 1, now: now)
        var replica = StateServer(configuration: StateConfiguration(), seed: 2, now: now)
        guard let client = server.open(address: "", localAddress: "", now: now) else { return }
        bytes.withUnsafeBytes { server.receive($0, from: client, now: now) }
        replica.apply(server.takeMutations(), now: now)
        precondition(server.keyspace.digest() == replica.keyspace.digest())
    }
}
