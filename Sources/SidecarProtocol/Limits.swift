/// The one list of limits. Each is tested at its value and one past it; a full queue refuses.
package enum Limits {
    package static let cborDepthMaximum = 8
    /// A name of a workload or namespace: one DNS label.
    package static let nameBytesMaximum = 63

    // MARK: Noise, identity, announcements

    /// A Noise message, handshake or record (§3).
    package static let noiseMessageBytesMaximum = 65_535
    package static let certificateBytesMaximum = 1024
    /// Labels of a certificate, its topics, and the name patterns of an issuer: of each.
    package static let certificateListMaximum = 16
    /// A label's name, a label's value.
    package static let labelBytesMaximum = 63
    package static let topicNameBytesMaximum = 255
    /// The last moment of the year 9999, in milliseconds since 1970: the end of what a certificate says.
    package static let wallTimeMaximum: UInt64 = 253_402_300_799_999
    /// What a certificate's not-before lies ahead of its issue, for peers whose clocks are slow.
    package static let certificateBackdating = MonotonicTime.Span.seconds(300)
    package static let leafLifetime = MonotonicTime.Span.seconds(3600)
    package static let issuerLifetime = MonotonicTime.Span.seconds(90 * 86_400)
    /// What a peer's certificate is allowed; one's own is allowed none.
    package static let peerClockSkew = MonotonicTime.Span.seconds(30)
    /// Roots that a trust bundle holds at once.
    package static let trustBundleRootsMaximum = 8
    package static let trustBundleBytesMaximum = 9216
    package static let announcementBytesMaximum = 600
    package static let announcementEndpointsMaximum = 8
    package static let announcementExtensionsMaximum = 8
    package static let announcementLifeMaximum = MonotonicTime.Span.seconds(3600)
    package static let tombstoneBytesMaximum = 256
    /// Announcements of one registration: topics of one instance.
    package static let registrationAnnouncementsMaximum = 16
    package static let pathBytesMaximum = 4095

    // MARK: Configuration

    /// A config file.
    package static let configurationBytesMaximum = 65_536
    /// Entries of one list of a config file.
    package static let configurationListMaximum = 256
    /// The text of a workload's version.
    package static let versionBytesMaximum = 64
    /// `sun_path` of Linux, less its closing zero.
    package static let socketPathBytesMaximum = 107

    // MARK: Node

    /// One frame on the sockets of node and issuer. A registration carries several announcements.
    package static let nodeFrameBytesMaximum = 65_536

    // MARK: Sessions: handshake

    /// From the first byte, or the connection, to an established session.
    package static let handshakeSpan = MonotonicTime.Span.seconds(10)
    /// Connections to one listener that have sent nothing yet: all of them, and of one source.
    package static let silentConnectionsMaximum = 256
    package static let silentConnectionsOfOneSourceMaximum = 32
    /// Those beyond their first flight, and not established.
    package static let handshakesMaximum = 256
    /// Connections that one source may open at once, and each second after those.
    package static let handshakesBurst = 256
    package static let handshakesPerSecond: UInt64 = 64
    /// Sources of which that is counted.
    package static let handshakeSourcesMaximum = 1_024
    /// First flights that are known again when somebody repeats them; the oldest half is forgotten at once.
    package static let answeredFlightsMaximum = 4_096
    /// Messages 2 and 3 of a handshake; a leaf and its chain have room several times over.
    package static let handshakeMessageBytesMaximum = 8_192
    /// Replaced static keys that still answer. A leaf lives twice as long as it stays the newest.
    package static let replacedCredentialsMaximum = 8
    /// After it, the session's keys are replaced by a new handshake inside the session.
    package static let rekeySpan = MonotonicTime.Span.seconds(3_600)
    /// Records under one key, in either direction, until a new handshake is begun. Noise ends at 2^64.
    package static let rekeyRecordsMaximum: UInt64 = 1 << 40
    /// A session hears of its peer, or asks it, this often.
    package static let pingSpan = MonotonicTime.Span.seconds(15)
    /// A session that has heard nothing for so long is lost.
    package static let silenceSpan = MonotonicTime.Span.seconds(45)
    /// What was lost on the way to a peer is sent again within this, by a kernel that can. Any less, and TCP gives up before
    /// `silenceSpan` has passed; by its default, 120 s, a network that is back may go unnoticed for as long as it was
    /// away.
    package static let retransmissionSpan = MonotonicTime.Span.seconds(4)

    // MARK: Records of flows

    /// Files that an instance's records are kept in: the one that is written, and its older ones.
    package static let recordFilesMaximum = 4

    // MARK: Sessions: records, frames, streams

    /// A record with its two bytes of length.
    package static let recordBytesMaximum = 65_535
    package static let sessionStreamsMaximum = 16_384
    package static let streamWindowInitialBytes = 256 << 10
    package static let streamWindowMaximumBytes = 4 << 20
    /// By how much the windows of one session may have grown, all together.
    package static let sessionWindowGrowthBytesMaximum = 64 << 20
    /// What one session holds for streams that aren't attached yet, all together.
    package static let sessionHeldBytesMaximum = 16 << 20
    /// What may wait for a peer that doesn't read. Payload stops far below; answers to its frames don't.
    package static let linkUnsentBytesMaximum = 4 << 20
    /// The largest payload that UDP over IPv4 carries.
    package static let datagramBytesMaximum = 65_507
    /// Datagrams that wait on one association, in each direction; the oldest is dropped.
    package static let waitingDatagramsMaximum = 64
    /// Ports in one CALLS or VERDICTS; those beyond aren't stated, and so not allowed.
    package static let statedPortsMaximum = 512
    /// The rule's text in VERDICTS; longer ones are cut.
    package static let ruleTextBytesMaximum = 96

    // MARK: State on disk

    /// A segment of the log: usual, and what may be asked for.
    package static let stateSegmentBytes = 8 << 20
    package static let stateSegmentBytesMinimum = 4_096
    package static let stateSegmentBytesMaximum = 1 << 30
    /// One record. A larger one than a segment gets a segment of its own.
    package static let statePayloadBytesMaximum = 96 << 20
    /// What one write of the log gathers, unless a single record is larger.
    package static let stateBatchBytesMaximum = 1 << 20
    /// Records that wait for the disk, all together.
    package static let stateUnwrittenBytesMaximum = 64 << 20
    /// One chunk of a snapshot, with a checksum of its own.
    package static let stateChunkBytesMaximum = 65_536
    /// Chunks that wait for the disk, and what of a snapshot isn't synced yet.
    package static let stateSnapshotUnwrittenBytesMaximum = 1 << 20
    /// What is read at once.
    package static let stateReadBytes = 131_072
    /// A disk without space is asked again after this.
    package static let stateSpaceRetry = MonotonicTime.Span.seconds(1)

    // MARK: Userland stack

    /// A message between sidecar and userland stack: a datagram with its addresses.
    package static let stackMessageBytesMaximum = datagramBytesMaximum + 32
    /// Connections whose first segment waits for the sidecar's answer.
    package static let stackHeldMaximum = 512
    /// A first segment that is held: headers, and a little of fast open's data.
    package static let stackHeldBytesMaximum = 2_048
    /// How long the sidecar may take to answer at all.
    package static let stackAnswerTime = MonotonicTime.Span.seconds(10)
    /// How long a connection is held once the sidecar has said `wait`.
    package static let stackWaitTime = MonotonicTime.Span.seconds(60)
    /// Sockets of libslirp. It ends its process when it finds no descriptor, so this stays well below the
    /// process's own limit, which is `stackDescriptorsSpare` higher.
    package static let stackFlowsMaximum = 4_000
    package static let stackDescriptorsSpare = 96
    /// Entries of (address, port) that libslirp hands over to the sidecar; it searches them one by one.
    package static let stackForwardsMaximum = 4_096
    /// Datagrams of which fragments wait for the rest; the oldest gives way.
    package static let stackPartialsMaximum = 8
    /// Permissions to leave the mesh.
    package static let stackAllowancesMaximum = 4_096
    /// UDP flows that leave the mesh, and how long one lasts without a datagram.
    package static let stackAssociationsMaximum = 1_024
    package static let associationIdleTime = MonotonicTime.Span.seconds(60)
    /// Refused attempts that are counted together: kinds at once, and for how long.
    package static let stackRefusalsMaximum = 64
    package static let stackRefusalTime = MonotonicTime.Span.seconds(1)
    /// Messages to the other end that wait for room in the socket: a reset of each flow, and more.
    package static let stackQueueMaximum = 8_192
    package static let stackQueueBytesMaximum = 4 << 20
    /// Frames to the workload that wait for room in the TAP.
    package static let stackFramesMaximum = 1_024

    // MARK: State

    /// One argument of a request, unless the configuration says otherwise; and the longest string.
    package static let stateBulkBytesMaximum = 512 << 20
    /// All arguments of one request.
    package static let stateRequestBytesMaximum = 1 << 30
    package static let stateArgumentsMaximum = 1 << 20
    /// A line: of an inline request, or a length.
    package static let stateInlineBytesMaximum = 65_536
    package static let stateDatabases = 16
    package static let stateClientsMaximum = 10_000
    /// Input that arrived and isn't run yet: beyond it the connection isn't read.
    package static let stateUnreadInputBytesMaximum = 1 << 20
    /// Replies that aren't taken yet: beyond it the connection's requests wait.
    package static let stateUnreadReplyBytesMaximum = 1 << 20
    /// Replies and messages for a subscriber that doesn't read; beyond it the connection is closed.
    package static let statePushBytesMaximum = 32 << 20
    /// What one transaction's calls may take.
    package static let stateTransactionBytesMaximum = 64 << 20
    /// Keys that one client watches, and channels and patterns that it subscribes to.
    package static let stateWatchedKeysMaximum = 65_536
    package static let stateSubscriptionsMaximum = 65_536
    package static let stateScriptsMaximum = 10_000
    /// Keyspace events of one command, script or transaction; those beyond aren't published.
    package static let stateEventsMaximum = 1 << 18
    /// Members that are drawn with repetition by one command.
    package static let stateSampleMaximum = 1 << 24
    /// Keys that end in one go, and the longest time until the clock is asked again for those to come.
    package static let stateExpiriesAtOnce = 1_000
    package static let stateExpiryLookSpan = MonotonicTime.Span.seconds(1)

    // MARK: Replicated state (eventual)

    /// The longest string of a replicated state, and all arguments of one request to it: what one operation
    /// of a delta can hold.
    package static let replicatedStringBytesMaximum = 64 << 20
    package static let replicatedRequestBytesMaximum = 64 << 20
    /// What commands may have changed when the next one waits for the turn's end.
    package static let replicatedTurnBytesMaximum = 16 << 20
    /// What one delta holds of values, unless a single operation has more. Below a record's size by what
    /// operations need beside their values.
    package static let replicatedDeltaBytesMaximum = 80 << 20
    /// Records that wait for the disk when commands, and what other replicas say, begin to wait too.
    package static let replicatedBacklogBytesMaximum = 32 << 20

    /// Replicas that a store knows at once, those that left and aren't settled yet among them.
    package static let storeReplicasMaximum = 4_096
    /// Ranges of keys that one reconciliation takes; beyond them it takes coarser ones.
    package static let reconciledRangesMaximum = 1 << 16
    /// Replicas that left and whose names are kept until it is worth looking for their last dots.
    package static let retiredReplicasKept = 16
    /// How far another replica's clock may be ahead.
    package static let replicaClockSkew = MonotonicTime.Span.seconds(300)
    /// Encoded deltas that a store keeps for replicas that lack them, all together.
    package static let deltaLogBytesMaximum = 64 << 20
    /// Deltas that came before those that they depend on.
    package static let earlyDeltaBytesMaximum = 8 << 20
    /// A delta: a value of Redis's largest size, and a little.
    package static let deltaBytesMaximum = 528 << 20
    /// A message of gossip.
    package static let gossipMessageBytesMaximum = 60_000
    /// What is on its way to one peer, and not acknowledged.
    package static let gossipInFlightBytesMaximum = 2 << 20
    /// What anti-entropy and retransmission wait for.
    package static let gossipInterval = MonotonicTime.Span.seconds(1)
    /// How long a launch waits for its state to be read, so that it can say what is wrong with it.
    package static let stateStartPatience = MonotonicTime.Span.seconds(5)
    /// What other replicas say and is refused is logged so often, for each of them and reason.
    package static let refusalLogInterval = MonotonicTime.Span.seconds(60)
    /// Replicas that a replica talks to.
    package static let gossipPeersMaximum = 16
    /// One key of an exported state.
    package static let stateRecordBytesMaximum = 1 << 30
    /// A state that a replica takes over, as bytes.
    package static let stateImportBytesMaximum = 4 << 30
    /// How long past its time an expired key is left to the replica that set the time.
    package static let expiryGrace = MonotonicTime.Span.seconds(60)
}
