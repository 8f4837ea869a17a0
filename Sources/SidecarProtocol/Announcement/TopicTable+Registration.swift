// Instances: how they come, renew, withdraw and end.

/// Why a registration isn't taken.
enum RegistrationRefusal: Error, CustomStringConvertible {
    case noTrust
    case refused(StoreRefusal)
    case tombstone(AnnouncementError)
    /// The tombstone, or an announcement, is of another instance or incarnation than the rest.
    case inconsistent(String)
    case otherInstance(InstanceID)

    var description: String {
        switch self {
        case .noTrust: "this host has no trust domain yet; ask the issuer for a certificate first"
        case .refused(let refusal): "\(refusal)"
        case .tombstone(let error): "the tombstone is refused: \(error)"
        case .inconsistent(let what): what
        case .otherInstance(let instance): "this connection has registered instance \(instance) already"
        }
    }
}

extension TopicTable {
    /// Takes all of a registration or nothing.
    mutating func register(
        _ request: NodeRegistration, from client: Client, at now: Now, effects: inout [Effect]
    ) throws(RegistrationRefusal) {
        guard store != nil else { throw .noTrust }
        let chain: AnnouncementStore.Chain
        do { chain = try store!.admit(leaf: request.leaf, issuer: request.issuer, at: now) } catch {
            throw .refused(error)
        }
        let tombstone = try check(request, chain, at: now)
        let instance = tombstone.instance
        let known = registrations[instance]
        if let other = registrations.first(where: { $0.value.owner == client && $0.key != instance }) {
            throw .otherInstance(other.key)
        }
        guard known != nil || registrations.count < capacity.registrations else {
            throw .refused(.full("registrations", limit: capacity.registrations))
        }
        do {
            try store!.remember(
                instance, incarnation: tombstone.incarnation, until: chain.leaf.notAfter)
        } catch { throw .refused(error) }
        let (topics, stored) = try store(request.announcements, at: now)
        // What it no longer announces, or announced in a former incarnation, is over.
        if let known, let former = known.tombstone,
            known.incarnation < tombstone.incarnation || !known.topics.isSubset(of: topics)
        {
            publish(former, chain: known.chain, at: now, effects: &effects)
        }
        registrations[instance] = Registration(
            owner: client, incarnation: tombstone.incarnation, chain: chain, tombstone: request.tombstone,
            topics: topics, folder: request.instanceFolder)
        departures[instance] = nil
        if known?.incarnation != tombstone.incarnation { persist(&effects) }
        if known == nil || known?.owner != client {
            effects.append(
                .instanceCame(
                    instance, folder: request.instanceFolder, launcher: request.launcherProcessID))
        }
        for (announcement, bytes) in stored {
            relay(announcement, bytes, except: client, effects: &effects)
            tellNeighbours(of: announcement, except: nil, at: now, effects: &effects)
        }
    }

    /// Stores announcements that were checked before.
    ///
    /// - Returns: the topics of all of them, and those that are new, to be relayed.
    private mutating func store(
        _ announcements: [[UInt8]], at now: Now
    ) throws(RegistrationRefusal) -> (topics: Set<TopicID>, new: [(Announcement, [UInt8])]) {
        var topics: Set<TopicID> = []
        var new: [(Announcement, [UInt8])] = []
        for bytes in announcements {
            switch store!.accept(bytes, at: now) {
            case .stored(let announcement):
                new.append((announcement, bytes))
                topics.insert(announcement.topic)
            case .stale:
                if let announcement = try? Announcement(canonical: bytes) {
                    topics.insert(announcement.topic)
                }
            case .refused(let refusal): throw .refused(refusal)
            case .waits: throw .inconsistent("an announcement names another certificate")
            }
        }
        return (topics, new)
    }

    /// What must hold before anything of the registration is stored.
    private func check(
        _ request: NodeRegistration, _ chain: AnnouncementStore.Chain, at now: Now
    ) throws(RegistrationRefusal) -> Tombstone {
        let tombstone: Tombstone
        do {
            tombstone = try Tombstone(canonical: request.tombstone)
            try tombstone.verify(certificate: chain.leaf)
        } catch { throw .tombstone(error) }
        if let memory = store?.memories[tombstone.instance] {
            guard tombstone.incarnation >= memory.incarnation else {
                throw .refused(.replaced(incarnation: memory.incarnation))
            }
            if let ended = memory.tombstone?.tombstone, ended.incarnation == tombstone.incarnation,
                ended.sequence >= tombstone.sequence
            {
                throw .refused(.buried(incarnation: ended.incarnation))
            }
        }
        for bytes in request.announcements {
            do {
                guard let (announcement, _) = try store?.check(bytes, at: now) else {
                    throw RegistrationRefusal.inconsistent("an announcement names another certificate")
                }
                guard tombstone.buries(announcement) else {
                    throw RegistrationRefusal.inconsistent("the tombstone doesn't bury an announcement")
                }
            } catch let refusal as RegistrationRefusal {
                throw refusal
            } catch let refusal as StoreRefusal {
                throw .refused(refusal)
            } catch {
                throw .inconsistent("\(error)")
            }
        }
        return tombstone
    }

    /// The instance says itself that it ends. Its folder still is its process's.
    mutating func withdraw(
        _ tombstone: [UInt8], from client: Client, at now: Now, effects: inout [Effect]
    ) {
        guard let (instance, registration) = registrations.first(where: { $0.value.owner == client }) else {
            effects.append(.send(client, .refused("nothing is registered on this connection")))
            return
        }
        guard publish(tombstone, chain: registration.chain, at: now, effects: &effects) else {
            effects.append(.send(client, .refused("the tombstone isn't of this instance")))
            return
        }
        registrations[instance]?.tombstone = nil
        registrations[instance]?.topics = []
    }

    mutating func processEnded(_ client: Client, at now: Now, effects: inout [Effect]) {
        guard let (instance, registration) = registrations.first(where: { $0.value.owner == client }) else {
            return
        }
        registrations[instance] = nil
        departures[instance] = Departure(
            folder: registration.folder, due: now.monotonic + Limits.instanceReturnDelay)
        guard let tombstone = registration.tombstone else { return }
        publish(tombstone, chain: registration.chain, at: now, effects: &effects)
        effects.append(
            .log(.info, "\(registration.chain.verified.identity) \(instance.bytes.prefix(8).hex) has ended"))
    }

    mutating func disconnected(_ client: Client) {
        guard let state = clients.removeValue(forKey: client) else { return }
        for topic in state.topics { removeSubscriber(client, from: topic) }
    }

    /// Buries, remembers on the disk, tells. False where the tombstone isn't the instance's.
    @discardableResult
    private mutating func publish(
        _ tombstone: [UInt8], chain: AnnouncementStore.Chain, at now: Now, effects: inout [Effect]
    ) -> Bool {
        do {
            guard let burial = try store?.bury(tombstone, chain: chain) else { return true }
            persist(&effects)
            tell(burial, effects: &effects)
            tellNeighbours(of: burial, except: nil, effects: &effects)
            return true
        } catch {
            effects.append(.log(.warning, "tombstone refused: \(error)"))
            return false
        }
    }

    private func persist(_ effects: inout [Effect]) {
        if let store { effects.append(.persist(SavedMemory.encoded(store.memories))) }
    }
}
