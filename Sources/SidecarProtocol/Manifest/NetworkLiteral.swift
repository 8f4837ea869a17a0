// Which texts are addresses and host names. Only judged here, never resolved.

package enum NetworkLiteral {
    static func isAlphanumeric(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "a")...UInt8(ascii: "z"),
            UInt8(ascii: "A")...UInt8(ascii: "Z"):
            true
        default: false
        }
    }

    /// An address of either family.
    package static func isAddress(_ text: String) -> Bool { isIPv4(text) || isIPv6(text) }

    /// Four decimal numbers of at most 255, without leading zeros (which some readers take as octal).
    package static func isIPv4(_ text: String) -> Bool {
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        return parts.count == 4
            && parts.allSatisfy { part in
                (1...3).contains(part.utf8.count) && UInt8(part) != nil
                    && part.utf8.allSatisfy { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }
                    && (part == "0" || !part.hasPrefix("0"))
            }
    }

    /// RFC 4291 §2.2, with at most one `::`, and an IPv4 tail; no zone.
    package static func isIPv6(_ text: String) -> Bool {
        guard text.utf8.count <= 45 else { return false }
        let halves = halves(text)
        guard halves.count <= 2 else { return false }
        var count = 0
        for (index, half) in halves.enumerated() where !half.isEmpty {
            guard let groups = groupCount(half, allowsIPv4: index == halves.count - 1) else { return false }
            count += groups
        }
        return halves.count == 2 ? count <= 7 : count == 8
    }

    /// The text around each `::`.
    private static func halves(_ text: String) -> [String] {
        var halves: [[UInt8]] = [[]]
        let bytes = Array(text.utf8)
        var index = 0
        while index < bytes.count {
            let isGap =
                bytes[index] == UInt8(ascii: ":") && index + 1 < bytes.count
                && bytes[index + 1] == UInt8(ascii: ":")
            if isGap {
                halves.append([])
                index += 2
            } else {
                halves[halves.count - 1].append(bytes[index])
                index += 1
            }
        }
        return halves.map { String(decoding: $0, as: UTF8.self) }
    }

    private static func groupCount(_ text: String, allowsIPv4: Bool) -> Int? {
        let groups = text.split(separator: ":", omittingEmptySubsequences: false).map(String.init)
        var count = 0
        for (index, group) in groups.enumerated() {
            if allowsIPv4, index == groups.count - 1, isIPv4(group) {
                count += 2
            } else if (1...4).contains(group.utf8.count), UInt16(group, radix: 16) != nil,
                group.utf8.allSatisfy(isAlphanumeric)
            {
                count += 1
            } else {
                return nil
            }
        }
        return count
    }

    static func isUnspecified(_ address: String) -> Bool {
        address == "0.0.0.0"
            || (address.utf8.contains(UInt8(ascii: ":"))
                && address.utf8.allSatisfy { ":0.".utf8.contains($0) })
    }

    /// RFC 1123 labels (and `_`, which some services use), joined by dots, the last not all digits.
    package static func isHostName(_ text: String) -> Bool {
        let labels = text.split(separator: ".", omittingEmptySubsequences: false)
        let isShaped = labels.allSatisfy { label in
            (1...63).contains(label.utf8.count) && !label.hasPrefix("-") && !label.hasSuffix("-")
                && label.utf8.allSatisfy { isAlphanumeric($0) || "-_".utf8.contains($0) }
        }
        guard text.utf8.count <= 253, isShaped, let last = labels.last else { return false }
        return !last.utf8.allSatisfy { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }
    }
}
