/// The limits of names, sessions and flows in one sidecar.
extension Limits {
    /// Versions of the wire that this build speaks.
    package static let wireVersions: ClosedRange<UInt8> = 1...1
    /// How long a name query is held for the callee's verdicts.
    package static let queryHold = MonotonicTime.Span.seconds(4)
    package static let heldQueriesMaximum = 256
    /// How long an accepted connection waits for its callee.
    package static let flowWait = MonotonicTime.Span.seconds(30)
    package static let waitingFlowsMaximum = 256
    package static let flowsMaximum = 32_768
    /// Instances of one callee that are remembered.
    package static let providersMaximum = 64
    package static let redialDelayFirst = MonotonicTime.Span.milliseconds(10)
    package static let redialDelayMaximum = MonotonicTime.Span.seconds(1)
    /// Two sessions established within this time of each other were dialled at once.
    package static let simultaneousDial = MonotonicTime.Span.seconds(5)
    /// A permit outlives its peer's last word by this at most.
    package static let lease = MonotonicTime.Span.seconds(30)
    package static let probeInterval = MonotonicTime.Span.seconds(1)
    package static let recordInterval = MonotonicTime.Span.seconds(60)
    package static let renewalRetry = MonotonicTime.Span.seconds(30)
    package static let announcementLife = MonotonicTime.Span.seconds(90)
}
