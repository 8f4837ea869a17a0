// When a certificate is to be renewed, and when it is an alarm that it hasn't been.

/// The life of a certificate, from its issue to the end of what it proves. All in wall time.
package struct CertificateLife: Hashable, Sendable {
    /// When it was issued: its not-before, less what that was set back by.
    package let begin: WallTime
    package let end: WallTime

    /// - Parameter end: where the chain above it ends first; else its own not-after.
    package init(of certificate: Certificate, end: WallTime? = nil) {
        self.end = min(end ?? certificate.notAfter, certificate.notAfter)
        let issue = certificate.notBefore + Limits.certificateBackdating
        begin = issue < self.end ? issue : min(certificate.notBefore, self.end)
    }

    /// Half of its life: it is renewed then, so that a renewal that fails has the other half to be repeated.
    package var half: WallTime { WallTime(milliseconds: begin.milliseconds + length / 2) }

    /// Where it hasn't been renewed by then, somebody has to know.
    package var alarm: WallTime {
        WallTime(milliseconds: begin.milliseconds + length / 100 * CertificateLife.alarmPercent)
    }

    /// How much of it is over, in percent, 0 to 100.
    package func percentUsed(at now: WallTime) -> Int {
        guard length > 0, now < end else { return 100 }
        return Int(max(0, now.milliseconds - begin.milliseconds) / max(1, length / 100)).clampedToPercent
    }

    package func isAlarming(at now: WallTime) -> Bool { now >= alarm }

    /// What is left of it; zero once it is over.
    package func left(at now: WallTime) -> MonotonicTime.Span { now.span(until: end) }

    /// When to renew it. A clock that stands before its issue was set back: peers wouldn't take it, so it is
    /// renewed at once, as it is once its half is over.
    package func renewal(at now: WallTime) -> WallTime {
        now + Limits.certificateBackdating < begin ? now : half
    }

    /// Between two attempts to renew it: a tenth of its life, within bounds.
    package var retry: MonotonicTime.Span {
        let tenth = MonotonicTime.Span.milliseconds(UInt64(clamping: min(length / 10, 1 << 40)))
        return min(max(tenth, Limits.renewalRetryMinimum), Limits.renewalRetry)
    }

    private var length: Int64 { max(0, end.milliseconds - begin.milliseconds) }

    private static let alarmPercent: Int64 = 66
}

extension WallTime {
    /// Zero where `end` isn't later. In milliseconds up to a bound: a span of millennia has more nanoseconds
    /// than there are numbers.
    package func span(until end: WallTime) -> MonotonicTime.Span {
        let (left, over) = end.milliseconds.subtractingReportingOverflow(milliseconds)
        return .milliseconds(over ? 1 << 42 : UInt64(clamping: min(max(0, left), 1 << 42)))
    }
}

extension Int {
    fileprivate var clampedToPercent: Int { Swift.min(100, self) }
}

extension Limits {
    /// Between two attempts to renew a certificate, at least; short lives are for tests.
    package static let renewalRetryMinimum = MonotonicTime.Span.milliseconds(100)
}
