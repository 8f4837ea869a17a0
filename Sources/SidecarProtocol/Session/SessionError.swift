/// Why a session ends before its time. Whatever a peer sends can lead here, and to nothing worse.
package enum SessionError: Error, Equatable, Sendable {
    /// The first bytes aren't a preamble of mesh/1.
    case malformedPreamble
    /// The preamble's tag wasn't made with any of our static keys.
    case wrongPreambleTag
    /// This very first flight was answered before: somebody recorded it.
    case repeatedFirstFlight
    /// The preamble names another trust domain.
    case otherDomain
    /// The version that the peer chose isn't the highest in common.
    case version(chosen: UInt8, peer: ClosedRange<UInt8>)
    /// No version is in common.
    case noCommonVersion(peer: ClosedRange<UInt8>)
    /// A message of the handshake can't be read or written.
    case handshake(NoiseError)
    case handshakePayload(CBORError)
    /// The peer's certificates don't verify.
    case untrusted(String)
    /// The certificate is in order, but it's another workload's.
    case otherIdentity(expected: String, found: String)
    case handshakeTimeout
    /// The length of a record, or of a handshake's message, is impossible.
    case recordLength(Int)
    /// A record isn't authentic: a bit was changed, or records were lost, repeated or reordered.
    case record(NoiseError)
    case truncatedFrame
    case unknownFrame(type: UInt8)
    case malformedFrame(type: UInt8)
    /// A frame on a stream that the peer never opened, or can't open.
    case unexpectedStream(StreamID)
    case creditExceeded(StreamID)
    /// A frame of a re-handshake that nothing led to, or that isn't the last of its record.
    case unexpectedRekey
    case silence
    /// A node's message makes no sense.
    case malformedMessage(CBORError)
    /// A node sends more records than it may.
    case tooManyRecords
    /// A session of nodes has lasted its time; a new one takes its place.
    case over

    package var closeReason: CloseReason {
        switch self {
        case .untrusted, .otherIdentity, .wrongPreambleTag, .repeatedFirstFlight, .otherDomain: .untrusted
        case .handshakeTimeout, .silence, .over: .sessionLost
        case .malformedPreamble, .version, .noCommonVersion, .handshake, .handshakePayload, .recordLength,
            .record, .truncatedFrame, .unknownFrame, .malformedFrame, .unexpectedStream, .creditExceeded,
            .unexpectedRekey, .malformedMessage, .tooManyRecords:
            .protocolError
        }
    }
}

extension SessionError: CustomStringConvertible {
    package var description: String {
        switch self {
        case .malformedPreamble: "its first bytes aren't those of mesh/1"
        case .wrongPreambleTag: "it doesn't know the key that it has called"
        case .repeatedFirstFlight: "its first bytes were recorded: they were answered before"
        case .otherDomain: "it is of another trust domain"
        case .version(let chosen, let peer):
            "it has chosen version \(chosen), which isn't the highest in common with its \(peer)"
        case .noCommonVersion(let peer): "no version is in common: it has \(peer)"
        case .handshake(let error): "the handshake fails: \(error)"
        case .handshakePayload(let error): "what the handshake carries can't be read: \(error)"
        case .untrusted(let why): "it isn't trusted: \(why)"
        case .otherIdentity(let expected, let found): "it is \(found), and not \(expected)"
        case .handshakeTimeout: "the handshake has taken too long"
        case .recordLength(let length): "a record of \(length) bytes can't be"
        case .record(let error): "a record was changed, lost or repeated on the way: \(error)"
        case .truncatedFrame: "a frame is cut short"
        case .unknownFrame(let type): "a frame of type \(type) isn't known"
        case .malformedFrame(let type): "a frame of type \(type) can't be read"
        case .unexpectedStream(let stream): "a frame on stream \(stream), which isn't open"
        case .creditExceeded(let stream): "more bytes on stream \(stream) than there was credit for"
        case .unexpectedRekey: "a new handshake's frame that nothing led to"
        case .silence: "it says nothing any more"
        case .malformedMessage(let error): "a message makes no sense: \(error)"
        case .tooManyRecords: "more records came than may come at once"
        case .over: "the session has lasted its time"
        }
    }
}
