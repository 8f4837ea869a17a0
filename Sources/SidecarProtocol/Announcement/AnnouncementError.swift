/// Why an announcement or a tombstone is refused.
package enum AnnouncementError: VersionedFieldsError, Equatable, Sendable, CustomStringConvertible {
    case tooLong(Int, maximum: Int)
    case malformed(CBORError)
    case invalid(field: String)
    case unknownCriticalField(UInt64)
    case needsReader(version: UInt64)
    /// The certificate at hand isn't the one that it names, or names somebody else.
    case wrongCertificate
    case wrongStaticKey
    /// Its certificate has no right to announce on this topic.
    case topicNotGranted(TopicID)
    /// Its certificate has ended.
    case certificateOver
    case badSignature

    package var description: String {
        switch self {
        case .tooLong(let count, let maximum): "it has \(count) bytes, the limit is \(maximum)"
        case .malformed(let error): "it isn't canonical CBOR: \(error)"
        case .invalid(let field): "its \(field) is missing or impossible"
        case .unknownCriticalField(let key):
            "it has the critical field \(key), which this version doesn't know: update mesh"
        case .needsReader(let version): "it needs a reader of version \(version): update mesh"
        case .wrongCertificate: "it names another certificate, or its certificate names somebody else"
        case .wrongStaticKey: "its static key isn't its certificate's"
        case .topicNotGranted(let topic): "its certificate has no right to the topic \(topic)"
        case .certificateOver: "its certificate has ended"
        case .badSignature: "its signature is wrong"
        }
    }
}
