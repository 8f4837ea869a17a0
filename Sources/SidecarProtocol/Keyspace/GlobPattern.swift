/// Redis's glob patterns: `*`, `?`, `[a-z]`, `[^a]` and `\`. In time of at most pattern × text.
struct GlobPattern {
    private let pattern: [UInt8]

    init(_ pattern: ByteString) { self.pattern = pattern.bytes }

    /// `*`: everything matches.
    var isEverything: Bool { pattern == [UInt8(ascii: "*")] }

    func matches(_ text: ByteString) -> Bool { matches(text.bytes, ignoringCase: false) }

    func matches(_ text: [UInt8], ignoringCase: Bool) -> Bool {
        guard !text.isEmpty else { return pattern.isEmpty }
        var (place, index) = (0, 0)
        // Where to go on when what follows the last `*` doesn't match: that pattern, one byte later.
        var retry: (place: Int, index: Int)?
        while index < text.count {
            if place < pattern.count, pattern[place] == UInt8(ascii: "*") {
                while place < pattern.count, pattern[place] == UInt8(ascii: "*") { place += 1 }
                if place == pattern.count { return true }
                retry = (place, index)
                continue
            }
            if place < pattern.count, let next = step(place, text[index], ignoringCase) {
                place = next
                index += 1
                continue
            }
            guard let again = retry else { return false }
            retry = (again.place, again.index + 1)
            (place, index) = (again.place, again.index + 1)
        }
        while place < pattern.count, pattern[place] == UInt8(ascii: "*") { place += 1 }
        return place == pattern.count
    }

    /// The place after the one at `place`, if that matches the byte.
    private func step(_ place: Int, _ byte: UInt8, _ ignoringCase: Bool) -> Int? {
        func fold(_ byte: UInt8) -> UInt8 { ignoringCase ? ByteString.lowercased(byte) : byte }
        switch pattern[place] {
        case UInt8(ascii: "?"): return place + 1
        case UInt8(ascii: "["): return classEnd(place + 1, fold(byte), fold)
        case UInt8(ascii: "\\") where place + 1 < pattern.count:
            return fold(pattern[place + 1]) == fold(byte) ? place + 2 : nil
        default: return fold(pattern[place]) == fold(byte) ? place + 1 : nil
        }
    }

    private func classEnd(_ start: Int, _ byte: UInt8, _ fold: (UInt8) -> UInt8) -> Int? {
        var place = start
        let isNegated = place < pattern.count && pattern[place] == UInt8(ascii: "^")
        if isNegated { place += 1 }
        var isIn = false
        // A class that isn't closed ends with the pattern.
        while place < pattern.count, pattern[place] != UInt8(ascii: "]") {
            if pattern[place] == UInt8(ascii: "\\"), place + 1 < pattern.count {
                place += 1
                if pattern[place] == byte { isIn = true }
            } else if place + 2 < pattern.count, pattern[place + 1] == UInt8(ascii: "-") {
                let (a, b) = (fold(pattern[place]), fold(pattern[place + 2]))
                if byte >= min(a, b), byte <= max(a, b) { isIn = true }
                place += 2
            } else if fold(pattern[place]) == byte {
                isIn = true
            }
            place += 1
        }
        return isIn != isNegated ? min(place + 1, pattern.count) : nil
    }
}
