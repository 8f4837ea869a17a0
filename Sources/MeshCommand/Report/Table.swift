/// Columns for people to read: aligned, two spaces apart.
struct Table {
    enum Alignment { case left, right }

    private let columns: [(title: String, alignment: Alignment)]
    private var rows: [[String]] = []

    /// A title that begins with `>` stands over numbers, which are aligned at their right.
    init(_ titles: [String]) {
        columns = titles.map {
            $0.hasPrefix(">") ? (String($0.dropFirst()), .right) : ($0, .left)
        }
    }

    mutating func add(_ cells: [String]) { rows.append(cells.map(Table.visible)) }

    var text: String {
        let all = [columns.map(\.title)] + rows
        let widths = columns.indices.map { column in all.map { $0[column].count }.max() ?? 0 }
        return all.map { row in
            let line = row.indices.map { index in
                let space = String(repeating: " ", count: widths[index] - row[index].count)
                return columns[index].alignment == .left ? row[index] + space : space + row[index]
            }
            return line.joined(separator: "  ").trimmingEnd + "\n"
        }.joined()
    }

    /// Names and versions come from peers: none may steer the terminal.
    static func visible(_ text: String) -> String {
        String(
            String.UnicodeScalarView(
                text.unicodeScalars.map {
                    switch $0.properties.generalCategory {
                    case .control, .format, .lineSeparator, .paragraphSeparator, .surrogate: "?"
                    default: $0
                    }
                }))
    }
}

extension String {
    fileprivate var trimmingEnd: String {
        var text = self[...]
        while text.last == " " { text.removeLast() }
        return String(text)
    }
}
