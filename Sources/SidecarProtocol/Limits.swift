/// The one list of limits. Each is tested at its value and one past it; a full queue refuses.
package enum Limits {
    package static let cborDepthMaximum = 8
    /// A name of a workload or namespace: one DNS label.
    package static let nameBytesMaximum = 63
}
