// What the log says of another replica's messages that aren't taken, and what can be done about it.

extension GossipRefusal: CustomStringConvertible {
    package var description: String {
        switch self {
        case .malformed(let error): "its message can't be read, \(error)"
        case .join(let error): error.description
        case .unknownPeer: "no replica with this name is connected"
        case .tooManyPeers(let maximum): "\(maximum) replicas are connected already, which is the most"
        case .otherGroup(let group, let own):
            "it is of another workload or trust domain (group \(group?.description ?? "none"), here "
                + "\(own?.description ?? "none"))"
        }
    }
}

extension JoinError: CustomStringConvertible {
    package var description: String {
        switch self {
        case .malformed(let error): "a change can't be read, \(error)"
        case .clock(.ahead(let milliseconds, let bound), let origin):
            "the changes of replica \(origin) lie \(milliseconds) ms ahead of this host's clock, of which \(bound) ms "
                + "are followed: check the clocks of both hosts; what it has changed waits there, and comes once the "
                + "clock here is close enough"
        case .early(let origin, let from):
            "change \(from) of replica \(origin) follows on others that aren't here; it will be sent again"
        case .tooManyReplicas(let replica):
            "with replica \(replica) more than \(Limits.storeReplicasMaximum) would be kept: name those that are "
                + "gone to CRDT.FORGET"
        case .impostor(let replica):
            "it has the name of this replica, \(replica), or changes of it that are unknown here: where there is a copy "
                + "of this folder, remove the file `replica` from one of the two, which then gets a name of its own; "
                + "else start this workload again, which begins a new epoch"
        case .sealed(let replica):
            "replica \(replica) was given up, and what comes now isn't what the others agreed on: start it again, "
                + "which begins a new epoch"
        case .gone(let replica):
            "replica \(replica) was given up, or may be one that was: what of its changes has been removed since is "
                + "forgotten here; if that stays so, mesh state export there and mesh state import --anew write what "
                + "it shows again"
        }
    }
}

extension ClockError: CustomStringConvertible {
    package var description: String {
        switch self {
        case .ahead(let milliseconds, let bound):
            "a time \(milliseconds) ms ahead of this clock, of which \(bound) ms are followed: set the clock right"
        }
    }
}

extension CompactError: CustomStringConvertible {
    package var description: String {
        switch self {
        case .truncated(let offset): "it breaks off at byte \(offset)"
        case .notCanonical(let offset): "byte \(offset) isn't what is written there"
        case .unknown(let what, let value): "its \(what) \(value) is unknown here"
        case .tooLarge(let what, let count): "its \(what) would be \(count), which is too much"
        }
    }
}
