// A record's members, read where they stand: reading tens of megabytes as trees of JSON takes seconds.

import Glibc

/// The bytes of one line of a records file, with the places of what joins need.
///
/// Members are looked for in the order in which sidecars write them; others may stand between. A member's
/// name can't be found inside a text by mistake, since a text's quotation marks are escaped.
struct RecordLine {
    let bytes: UnsafeRawBufferPointer
    let time: Range<Int>
    let event: Range<Int>
    /// Empty where the flow has no id: it never opened, or it leaves the mesh.
    let flow: Range<Int>
    let direction: Range<Int>
    let flowProtocol: Range<Int>
    let port: Range<Int>
    let source: Range<Int>
    /// Empty outside the mesh.
    let destination: Range<Int>
    let destinationAddress: Range<Int>
    let sent: Range<Int>
    let received: Range<Int>

    /// Nil where this isn't a record.
    init?(_ line: UnsafeRawBufferPointer) {
        guard line.first == UInt8(ascii: "{"), line.last == UInt8(ascii: "}") else { return nil }
        var place = 0
        func value(_ name: StaticString) -> Range<Int>? {
            guard let start = line.index(of: name, from: place) else { return nil }
            let first = start + name.utf8CodeUnitCount
            guard let end = RecordLine.end(of: line, from: first) else { return nil }
            place = end
            if line[first] == UInt8(ascii: "\"") { return (first + 1)..<end }
            // `null` says as much as an empty text.
            return line[first] == UInt8(ascii: "n") ? first..<first : first..<end
        }
        guard let time = value(#""time":"#), let event = value(#""event":"#),
            let flow = value(#""flow_id":"#), let direction = value(#""direction":"#),
            let flowProtocol = value(#""protocol":"#), let port = value(#""port":"#),
            let source = value(#""identity":"#), value(#""addr":"#) != nil,
            let destination = value(#""identity":"#), let address = value(#""addr":"#),
            let sent = value(#""bytes_sent":"#), let received = value(#""bytes_recv":"#)
        else { return nil }
        bytes = line
        (self.time, self.event, self.flow, self.direction) = (time, event, flow, direction)
        (self.flowProtocol, self.port, self.source) = (flowProtocol, port, source)
        (self.destination, destinationAddress) = (destination, address)
        (self.sent, self.received) = (sent, received)
    }

    /// What isn't of a flow: a signature, or a gap.
    static func isAside(_ line: UnsafeRawBufferPointer) -> Bool {
        isSignature(line) || hasEvent(line, #"","event":"gap","#)
    }

    static func isSignature(_ line: UnsafeRawBufferPointer) -> Bool {
        hasEvent(line, #"","event":"signature","#)
    }

    /// `{"time":"2026-01-01T00:00:00.000Z","event":"…",`: its place is fixed.
    private static func hasEvent(_ line: UnsafeRawBufferPointer, _ event: StaticString) -> Bool {
        let (place, count) = (33, event.utf8CodeUnitCount)
        guard line.count > place + count else { return false }
        return UnsafeRawBufferPointer(rebasing: line[place..<(place + count)]).index(of: event) == 0
    }

    func text(_ range: Range<Int>) -> String {
        let slice = UnsafeRawBufferPointer(rebasing: bytes[range])
        guard slice.contains(UInt8(ascii: "\\")) else { return String(decoding: slice, as: UTF8.self) }
        return JSON(parsing: [UInt8(ascii: "\"")] + Array(slice) + [UInt8(ascii: "\"")])?.text ?? "?"
    }

    /// Appends a value's bytes as they stand, and a zero behind them.
    func append(_ range: Range<Int>, to key: inout [UInt8]) {
        key.append(contentsOf: UnsafeRawBufferPointer(rebasing: bytes[range]))
        key.append(0)
    }

    /// 0 where it isn't a number, and the largest where it doesn't fit.
    func number(_ range: Range<Int>) -> Int {
        var value = 0
        for byte in bytes[range] {
            guard (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) else { return 0 }
            let (product, over) = value.multipliedReportingOverflow(by: 10)
            let (sum, overToo) = product.addingReportingOverflow(Int(byte) - 48)
            guard !over, !overToo else { return Int.max }
            value = sum
        }
        return value
    }

    func isEqual(_ range: Range<Int>, _ text: StaticString) -> Bool {
        range.count == text.utf8CodeUnitCount
            && memcmp(bytes.baseAddress! + range.lowerBound, text.utf8Start, range.count) == 0
    }

    /// Where the value that begins at `first` ends: before a text's last quotation mark, or after a number.
    private static func end(of line: UnsafeRawBufferPointer, from first: Int) -> Int? {
        guard first < line.count, let base = line.baseAddress else { return nil }
        var place = first
        guard line[first] == UInt8(ascii: "\"") else {
            while place < line.count, line[place] != UInt8(ascii: ","), line[place] != UInt8(ascii: "}") {
                place += 1
            }
            return place < line.count ? place : nil
        }
        while place + 1 < line.count, let hit = memchr(base + place + 1, 0x22, line.count - place - 1) {
            place = UnsafeRawPointer(hit) - base
            // One behind an odd number of backslashes belongs to the text.
            var slashes = 0
            while line[place - 1 - slashes] == UInt8(ascii: "\\") { slashes += 1 }
            if slashes % 2 == 0 { return place }
        }
        return nil
    }
}
