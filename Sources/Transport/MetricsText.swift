// Prometheus' text format (version 0.0.4), as `promtool check metrics` accepts it.

package enum MetricKind: String, Sendable { case counter, gauge, histogram }

/// Writes metric families one after the other; each family's samples stand together, as the format
/// demands.
package struct MetricsText: Sendable {
    package private(set) var text = ""

    package init() {}

    package static let contentType = "text/plain; version=0.0.4; charset=utf-8"

    /// - Parameters:
    ///   - name: counters end in `_total`.
    ///   - body: adds the family's samples. A family without one is left out.
    package mutating func family(
        _ name: String, _ kind: MetricKind, _ help: String, _ body: (inout MetricFamily) -> Void
    ) {
        var family = MetricFamily(name: name)
        body(&family)
        guard !family.text.isEmpty else { return }
        text += "# HELP \(name) \(help)\n# TYPE \(name) \(kind.rawValue)\n" + family.text
    }

    /// A family of one sample without labels.
    package mutating func single(
        _ name: String, _ kind: MetricKind, _ help: String, _ value: some BinaryInteger
    ) {
        family(name, kind, help) { $0.sample([], value) }
    }
}

package struct MetricFamily: Sendable {
    fileprivate let name: String
    fileprivate var text = ""

    fileprivate init(name: String) { self.name = name }

    /// One series. No two samples of a family may have the same labels.
    package mutating func sample(_ labels: [(String, String)], _ value: some BinaryInteger) {
        append(labels, String(value))
    }

    package mutating func sample(_ labels: [(String, String)], seconds value: Double) {
        append(labels, "\(value)")
    }

    /// One histogram.
    ///
    /// - Parameter buckets: upper bounds, `+Inf` the last, and how many are at most that.
    package mutating func histogram(
        _ labels: [(String, String)], buckets: [(bound: String, count: UInt64)], sum: Double
    ) {
        for bucket in buckets {
            append(labels + [("le", bucket.bound)], String(bucket.count), suffix: "_bucket")
        }
        append(labels, "\(sum)", suffix: "_sum")
        append(labels, String(buckets.last?.count ?? 0), suffix: "_count")
    }

    private mutating func append(_ labels: [(String, String)], _ value: String, suffix: String = "") {
        text += name + suffix
        if !labels.isEmpty {
            text += "{"
            text += labels.map { "\($0)=\"\(MetricFamily.escape($1))\"" }.joined(separator: ",")
            text += "}"
        }
        text += " \(value)\n"
    }

    private static func escape(_ value: String) -> String {
        var out: [UInt8] = []
        for byte in value.utf8 {
            switch byte {
            case UInt8(ascii: "\\"), UInt8(ascii: "\""): out += [UInt8(ascii: "\\"), byte]
            case UInt8(ascii: "\n"): out += Array("\\n".utf8)
            default: out.append(byte)
            }
        }
        return String(decoding: out, as: UTF8.self)
    }
}
