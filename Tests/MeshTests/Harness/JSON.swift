import Foundation

/// A JSON value, asked for by name; what isn't there is null, and a test then says what it looked at.
struct JSON: CustomStringConvertible, @unchecked Sendable {
    // Immutable once parsed: Foundation's own tree of values, never changed after.
    private let value: Any?

    init(_ value: Any?) { self.value = value }

    init(parsing text: String) throws {
        do {
            value = try JSONSerialization.jsonObject(with: Data(text.utf8), options: [.fragmentsAllowed])
        } catch {
            throw HarnessError("this isn't JSON: \(text)")
        }
    }

    subscript(_ name: String) -> JSON { JSON((value as? [String: Any])?[name]) }

    var list: [JSON] { (value as? [Any] ?? []).map(JSON.init) }
    var text: String? { value as? String }
    var number: Int? { (value as? NSNumber)?.intValue }
    var isTrue: Bool { (value as? Bool) == true }
    var names: [String] { (value as? [String: Any])?.keys.sorted() ?? [] }
    var strings: [String] { list.compactMap(\.text) }

    var description: String {
        guard let value, JSONSerialization.isValidJSONObject(value),
            let data = try? JSONSerialization.data(withJSONObject: value, options: [.sortedKeys])
        else { return "\(value ?? "null")" }
        return String(decoding: data, as: UTF8.self)
    }
}
