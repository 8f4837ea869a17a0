/// An error of a structure that is read as `VersionedFields`: each of them can fail in these four ways.
package protocol VersionedFieldsError: Error {
    static func malformed(_ error: CBORError) -> Self
    /// A field that is missing, of a wrong type, impossible, or past its limit.
    static func invalid(field: String) -> Self
    static func unknownCriticalField(_ key: UInt64) -> Self
    static func needsReader(version: UInt64) -> Self
}

extension VersionedFieldsError {
    init(_ error: CBORError) {
        if case .unexpected(let field) = error {
            self = .invalid(field: field)
        } else {
            self = .malformed(error)
        }
    }

    init(_ refusal: VersionedFields.Refusal) {
        switch refusal {
        case .needsReader(let version): self = .needsReader(version: version)
        case .unknownCriticalField(let key): self = .unknownCriticalField(key)
        case .malformed(let error): self = Self(error)
        }
    }
}
