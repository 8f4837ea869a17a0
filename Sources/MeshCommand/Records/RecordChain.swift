// Whether the lines of a records file are those that its sidecar wrote.
//
// Theory of operation
//
//   Each line ends in `"chain":"…"`: the BLAKE2b-256 of the line up to that member, keyed with the chain
//   of the line before; with 32 zero bytes for an instance's first line. The chain goes on over rotated
//   files. So a line is proved by the line before it, and a line that was changed, taken out, put in or
//   moved leaves a place where the hash doesn't follow. After such a place the check goes on from the
//   chain that the line states, so that every place is found, not only the first.
//
//   Three things can't be seen by the chain alone: lines cut off at the very end, the content of the first
//   line that is kept once older files were dropped, and a file that was written anew as a whole. The
//   signatures show these, see `RecordSignatures`.

import Glibc
import SidecarProtocol

struct RecordChain {
    enum Kind: String {
        /// The line was changed, or lines before it are missing.
        case changed
        /// It follows another line than the one before it.
        case moved
        /// Not a record with a hash at its end.
        case unreadable
        /// A part of a line.
        case torn
        /// It begins a chain where one should go on.
        case begunAnew = "begun-anew"
    }

    struct Break {
        /// The file's place in the series, the oldest first.
        let file: Int
        /// From 1 on.
        let line: Int
        var kind: Kind
        /// The line that it does follow, where that is known.
        var follows: (file: Int, line: Int)?
        /// To look for that line; nil where there is no use in it.
        fileprivate let body: [UInt8]?
        fileprivate let chain: [UInt8]
    }

    private(set) var lines = 0
    private(set) var breaks: [Break] = []
    /// More than are kept.
    private(set) var breakCount = 0
    /// False where the first line is older lines' to prove, and these are gone.
    private(set) var isFirstLineProved = true

    static let breaksMaximum = 64

    /// The chain of the line before; nil before the first.
    private(set) var previous: [UInt8]?
    /// The line before had no chain to go on from.
    private var isUncertain = false
    private let mayLackBeginning: Bool

    /// - Parameter mayLackBeginning: whether older files have been dropped in the order of things.
    init(mayLackBeginning: Bool) { self.mayLackBeginning = mayLackBeginning }

    static let beginning = [UInt8](repeating: 0, count: 32)

    var isIntact: Bool { breakCount == 0 }

    mutating func add(_ line: UnsafeRawBufferPointer, _ end: LineScan.End, file: Int, number: Int) {
        lines += 1
        if end == .newline, let previous, let chain = RecordChain.chain(of: line, after: previous) {
            self.previous = chain
            isUncertain = false
            return
        }
        guard end == .newline, let (body, chain) = RecordChain.split(line) else {
            isUncertain = true
            let isTorn = end == .endOfFile || end == .newline && RecordChain.isTorn(line)
            return found(isTorn ? .torn : .unreadable, file, number)
        }
        defer {
            previous = chain
            isUncertain = false
        }
        if RecordChain.hash(body, RecordChain.beginning) == chain {
            if previous == nil, !isUncertain { return }
            return found(.begunAnew, file, number)
        }
        // A line that was torn, and the next one written right after it.
        if let rest = RecordChain.lastRecord(in: body),
            [previous ?? RecordChain.beginning, RecordChain.beginning].contains(where: {
                RecordChain.hash(rest, $0) == chain
            })
        {
            return found(.torn, file, number)
        }
        // What was wrong with the line before explains this one.
        if isUncertain { return }
        if previous == nil, mayLackBeginning {
            isFirstLineProved = false
            return
        }
        found(.changed, file, number, body: body, chain: chain)
    }

    private mutating func found(
        _ kind: Kind, _ file: Int, _ line: Int, body: UnsafeRawBufferPointer? = nil, chain: [UInt8] = []
    ) {
        breakCount += 1
        guard breaks.count < RecordChain.breaksMaximum else { return }
        breaks.append(
            Break(file: file, line: line, kind: kind, body: body.map { Array($0) }, chain: chain))
    }

    // MARK: The second reading

    /// Breaks whose line may follow another than the one before it.
    var wantsPlaces: Bool { breaks.contains { $0.body != nil } }

    /// Offers a line to those breaks, as the one that they follow.
    mutating func offer(_ line: UnsafeRawBufferPointer, file: Int, number: Int) {
        guard let (_, chain) = RecordChain.split(line) else { return }
        for index in breaks.indices where breaks[index].kind == .changed {
            guard let body = breaks[index].body,
                body.withUnsafeBytes({ RecordChain.hash($0, chain) }) == breaks[index].chain
            else { continue }
            breaks[index].kind = .moved
            breaks[index].follows = (file, number)
        }
    }

    // MARK: One line

    private static let marker: StaticString = #","chain":""#
    private static let markerBytes = 10
    private static let suffixBytes = 10 + 64 + 2

    /// The hash that the line states, where it follows from `previous`: as nearly every line does, so this
    /// has to be quick.
    private static func chain(of line: UnsafeRawBufferPointer, after previous: [UInt8]) -> [UInt8]? {
        let start = line.count - suffixBytes
        guard start > 0, line.first == UInt8(ascii: "{"), isMarker(line, at: start),
            line[line.count - 2] == UInt8(ascii: "\""), line[line.count - 1] == UInt8(ascii: "}")
        else { return nil }
        let chain = hash(UnsafeRawBufferPointer(rebasing: line[..<start]), previous)
        var place = start + markerBytes
        for byte in chain {
            guard line[place] == Hex.digit(byte >> 4), line[place + 1] == Hex.digit(byte & 15) else {
                return nil
            }
            place += 2
        }
        return chain
    }

    private static func isMarker(_ line: UnsafeRawBufferPointer, at start: Int) -> Bool {
        marker.withUTF8Buffer { marker in
            memcmp(line.baseAddress! + start, marker.baseAddress!, marker.count) == 0
        }
    }

    /// The bytes that are hashed, and the hash that the line states.
    static func split(_ line: UnsafeRawBufferPointer) -> (body: UnsafeRawBufferPointer, chain: [UInt8])? {
        guard line.count > suffixBytes, line.first == UInt8(ascii: "{") else { return nil }
        let start = line.count - suffixBytes
        let digits = line[(start + markerBytes)..<(line.count - 2)]
        guard isMarker(line, at: start), line.last == UInt8(ascii: "}"),
            line[line.count - 2] == UInt8(ascii: "\""),
            // One spelling for one hash.
            !digits.contains(where: { (UInt8(ascii: "A")...UInt8(ascii: "F")).contains($0) }),
            let chain = [UInt8](hex: String(decoding: digits, as: UTF8.self))
        else { return nil }
        return (UnsafeRawBufferPointer(rebasing: line[..<start]), chain)
    }

    /// Whether it begins as a record and has no end of one: a sidecar closes such a line before it goes on.
    private static func isTorn(_ line: UnsafeRawBufferPointer) -> Bool {
        line.index(of: #"{"time":""#) == 0 && line.last != UInt8(ascii: "}")
    }

    private static func hash(_ body: UnsafeRawBufferPointer, _ key: [UInt8]) -> [UInt8] {
        BLAKE2b.hash(body, key: key)
    }

    /// The last whole record of a line that begins with a part of one.
    private static func lastRecord(in body: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer? {
        var last: Int?
        var place = 1
        while let next = body.index(of: #"{"time":""#, from: place) {
            last = next
            place = next + 1
        }
        return last.map { UnsafeRawBufferPointer(rebasing: body[$0...]) }
    }
}
