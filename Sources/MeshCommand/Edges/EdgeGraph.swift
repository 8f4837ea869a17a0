// Edges as a graph: DOT for others' tools, and an SVG that a browser shows as it is.
//
// Theory of operation of the layout
//
//   Callers stand left of whom they call. A node's column is the length of the longest way to it; an edge
//   that closes a circle, as a depth-first walk meets it, doesn't count. Within a column, nodes are put in
//   the order of the mean height of their neighbours, column by column to the right, back and again. An
//   edge is a curve from the right side of one box to the left side of the other; one that leads back goes
//   around below. Names come from peers: everything is escaped, and control characters are replaced.

struct EdgeGraph {
    let edges: [Edge]
    /// Names as shown, each once.
    private let names: [String]
    private let outside: Set<String>
    /// Of each edge, the places of its two names.
    private let ends: [(from: Int, to: Int)]

    init(_ edges: [Edge]) {
        self.edges = edges
        var seen: [String: Int] = [:]
        var names: [String] = []
        var outside: Set<String> = []
        for edge in edges {
            for identity in [edge.source, edge.destination] where seen[identity] == nil {
                seen[identity] = names.count
                names.append(identity)
            }
            if edge.isOutside { outside.insert(edge.destination) }
        }
        self.names = names
        self.outside = outside
        ends = edges.map { (seen[$0.source] ?? 0, seen[$0.destination] ?? 0) }
    }

    // MARK: DOT

    var dot: String {
        var text = "digraph mesh {\n  rankdir=LR;\n  node [shape=box, style=rounded];\n"
        for name in names {
            let shape = outside.contains(name) ? ", style=dashed" : ""
            text +=
                "  \(EdgeGraph.dotQuoted(name)) [label=\(EdgeGraph.dotQuoted(Edge.name(name)))\(shape)];\n"
        }
        for edge in edges {
            let colour = edge.isOnlyDenied ? ", color=red, style=dashed" : ""
            text +=
                "  \(EdgeGraph.dotQuoted(edge.source)) -> \(EdgeGraph.dotQuoted(edge.destination)) "
                + "[label=\(EdgeGraph.dotQuoted(edge.label))\(colour)];\n"
        }
        return text + "}\n"
    }

    /// A string of the DOT language, in which a backslash stays one.
    private static func dotQuoted(_ text: String) -> String {
        let escaped = Table.visible(text).map { $0 == "\"" || $0 == "\\" ? "\\\($0)" : "\($0)" }
        return "\"\(escaped.joined())\""
    }

    // MARK: Layout

    private struct Box {
        var x: Int
        var y: Int
        var width: Int
        var middle: Int { y + EdgeGraph.boxHeight / 2 }
    }

    private static let boxHeight = 36
    private static let rowHeight = 84
    private static let margin = 40
    private static let characterWidth = 8

    /// The length of the longest way to each node, without the edges that close a circle.
    private func columns() -> [Int] {
        var callees = [[Int]](repeating: [], count: names.count)
        var isCalled = [Bool](repeating: false, count: names.count)
        for (from, to) in ends where from != to {
            callees[from].append(to)
            isCalled[to] = true
        }
        // Who is called by nobody begins; what only circles reach begins with its first name.
        let roots = names.indices.filter { !isCalled[$0] } + names.indices.filter { isCalled[$0] }
        let (order, closing) = EdgeGraph.walk(callees, from: roots)
        var column = [Int](repeating: 0, count: names.count)
        for node in order {
            for (place, callee) in callees[node].enumerated() where !closing[node].contains(place) {
                column[callee] = max(column[callee], column[node] + 1)
            }
        }
        return column
    }

    /// A depth-first walk: the nodes, each before all that it leads to; and of each node the places of the
    /// edges that lead back into the way by which it was reached.
    private static func walk(_ callees: [[Int]], from roots: [Int]) -> (order: [Int], closing: [Set<Int>]) {
        enum State { case new, open, done }
        var state = [State](repeating: .new, count: callees.count)
        var closing = [Set<Int>](repeating: [], count: callees.count)
        var finished: [Int] = []
        for root in roots where state[root] == .new {
            var way = [(node: root, next: 0)]
            state[root] = .open
            while let (node, next) = way.last {
                guard next < callees[node].count else {
                    state[node] = .done
                    finished.append(node)
                    way.removeLast()
                    continue
                }
                way[way.count - 1].next += 1
                let callee = callees[node][next]
                switch state[callee] {
                case .new:
                    state[callee] = .open
                    way.append((callee, 0))
                case .open: closing[node].insert(next)
                case .done: break
                }
            }
        }
        return (finished.reversed(), closing)
    }

    /// The nodes of each column, from its top down.
    private func ordered(_ columns: [Int]) -> [[Int]] {
        var neighbours = [[Int]](repeating: [], count: names.count)
        for (from, to) in ends where from != to {
            neighbours[from].append(to)
            neighbours[to].append(from)
        }
        var rows = [Double](repeating: 0, count: names.count)
        var members = [[Int]](repeating: [], count: (columns.max() ?? -1) + 1)
        for node in names.indices { members[columns[node]].append(node) }
        func place(_ column: Int) {
            for (row, node) in members[column].enumerated() { rows[node] = Double(row) }
        }
        for column in members.indices { place(column) }
        for sweep in [Array(members.indices), members.indices.reversed(), Array(members.indices)] {
            for column in sweep {
                let heights = rows.indices.map { node in
                    columns[node] == column ? EdgeGraph.mean(neighbours[node].map { rows[$0] }) : nil
                }
                members[column].sort { (heights[$0] ?? rows[$0], $0) < (heights[$1] ?? rows[$1], $1) }
                place(column)
            }
        }
        return members
    }

    private static func mean(_ values: [Double]) -> Double? {
        values.isEmpty ? nil : values.reduce(0, +) / Double(values.count)
    }

    private func boxes() -> [Box] {
        let columns = columns()
        var boxes = [Box](repeating: Box(x: 0, y: 0, width: 0), count: names.count)
        var x = EdgeGraph.margin
        for (column, nodes) in ordered(columns).enumerated() {
            let characters = nodes.map { Edge.name(names[$0]).count }.max() ?? 0
            let width = characters * EdgeGraph.characterWidth + 24
            for (row, node) in nodes.enumerated() {
                boxes[node] = Box(
                    x: x, y: EdgeGraph.margin + row * EdgeGraph.rowHeight, width: width)
            }
            x += width + gap(after: column, columns)
        }
        return boxes
    }

    /// Room for the labels of the edges that leave a column.
    private func gap(after column: Int, _ columns: [Int]) -> Int {
        let labels = zip(edges, ends).filter { columns[$0.1.from] == column }.map(\.0.label.count)
        return 60 + (labels.max() ?? 0) * 6
    }

    // MARK: SVG

    var svg: String {
        let boxes = boxes()
        let right = boxes.map { $0.x + $0.width }.max() ?? 0
        let bottom = boxes.map { $0.y + EdgeGraph.boxHeight }.max() ?? 0
        let width = max(360, right + EdgeGraph.margin)
        let height = max(120, bottom + EdgeGraph.margin * 2)
        var text = """
            <svg xmlns="http://www.w3.org/2000/svg" width="\(width)" height="\(height)" \
            viewBox="0 0 \(width) \(height)" font-family="ui-monospace, monospace" font-size="13">
            <title>Who talks to whom</title>
            <style>
            .box { fill: #f5f7fa; stroke: #52606d } .outside { stroke-dasharray: 4 3 }
            .edge { fill: none; stroke: #3e7cb1 } .denied { stroke: #c0392b; stroke-dasharray: 5 4 }
            .label { font-size: 10px; fill: #323f4b; paint-order: stroke; stroke: white; stroke-width: 3px }
            .no { fill: #c0392b }
            </style>
            <defs><marker id="end" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="8" markerHeight="8" \
            markerUnits="userSpaceOnUse" orient="auto"><path d="M0 0 8 4 0 8z" fill="#52606d"/></marker></defs>
            <rect width="100%" height="100%" fill="white"/>

            """
        if edges.isEmpty { text += "<text x=\"40\" y=\"60\">No flow is on record.</text>\n" }
        var labels = LabelRows()
        var texts = ""
        var parallels: [String: Int] = [:]
        for (edge, (from, to)) in zip(edges, ends) {
            let number = parallels["\(from) \(to)", default: 0]
            parallels["\(from) \(to)"] = number + 1
            let (path, middle) = EdgeGraph.curve(boxes[from], boxes[to], number)
            text += EdgeGraph.drawing(of: edge, path)
            let half = edge.label.count * 3 + 4
            let row = labels.place(middle.x - half..<middle.x + half, at: middle.y)
            texts += EdgeGraph.drawing(ofLabel: edge, middle.x, row)
        }
        for (name, box) in zip(names, boxes) {
            let style = outside.contains(name) ? "box outside" : "box"
            text += """
                <g><title>\(EdgeGraph.escaped(name))</title><rect class="\(style)" x="\(box.x)" y="\(box.y)" \
                width="\(box.width)" height="\(boxHeightText)" rx="6"/><text x="\(box.x + box.width / 2)" \
                y="\(box.middle + 4)" text-anchor="middle">\(EdgeGraph.escaped(Edge.name(name)))</text></g>

                """
        }
        return text + texts + "</svg>\n"
    }

    private var boxHeightText: String { "\(EdgeGraph.boxHeight)" }

    /// An edge's way, and where its label would best be.
    ///
    /// - Parameter number: how many edges between the same two were drawn before.
    private static func curve(_ from: Box, _ to: Box, _ number: Int) -> (
        path: String, middle: (x: Int, y: Int)
    ) {
        let shift = number * 16
        if to.x > from.x {
            let (startX, startY) = (from.x + from.width, from.middle)
            let (endX, endY) = (to.x, to.middle)
            let middle = (startX + endX) / 2
            return (
                "M\(startX) \(startY) C\(middle) \(startY + shift) \(middle) \(endY + shift) \(endX) \(endY)",
                (middle, (startY + endY) / 2 + shift * 3 / 4 - 4)
            )
        }
        // Back, or to itself: around below.
        let (startX, endX) = (from.x + from.width * 3 / 4, to.x + to.width / 4)
        let (startY, endY) = (from.y + boxHeight, to.y + boxHeight)
        let low = max(startY, endY) + 34 + shift
        return (
            "M\(startX) \(startY) C\(startX) \(low) \(endX) \(low) \(endX) \(endY)",
            ((startX + endX) / 2, low - 6)
        )
    }

    private static func drawing(of edge: Edge, _ path: String) -> String {
        let title = escaped("\(Edge.name(edge.source)) -> \(Edge.name(edge.destination)): \(edge.label)")
        return """
            <path class="\(edge.isOnlyDenied ? "edge denied" : "edge")" d="\(path)" \
            stroke-width="\(thickness(edge))" marker-end="url(#end)"><title>\(title)</title></path>

            """
    }

    private static func drawing(ofLabel edge: Edge, _ x: Int, _ y: Int) -> String {
        """
        <text class="\(edge.isOnlyDenied ? "label no" : "label")" x="\(x)" y="\(y)" \
        text-anchor="middle">\(escaped(edge.label))</text>

        """
    }

    /// 1 to 5, by the logarithm of the bytes.
    private static func thickness(_ edge: Edge) -> Int {
        var bytes = max(edge.bytesToCallee, edge.bytesToCaller)
        var thickness = 1
        while bytes >= 100_000, thickness < 5 {
            bytes /= 100
            thickness += 1
        }
        return thickness
    }

    /// Text for XML 1.0, in which most control characters can't be at all.
    static func escaped(_ text: String) -> String {
        Table.visible(text).map { character in
            switch character {
            case "&": "&amp;"
            case "<": "&lt;"
            case ">": "&gt;"
            case "\"": "&quot;"
            case "'": "&#39;"
            default: "\(character)"
            }
        }.joined()
    }
}

/// Keeps labels off each other: in rows, of which each takes a label only where it is free.
private struct LabelRows {
    private var taken: [Int: [Range<Int>]] = [:]
    private static let rowHeight = 12
    private static let baseline = 9

    /// The height at which a label of that width is drawn: the nearest free one.
    mutating func place(_ width: Range<Int>, at height: Int) -> Int {
        let wanted = height / LabelRows.rowHeight
        for distance in 0..<20 {
            for row in [wanted + distance, wanted - distance]
            where row > 0 && !(taken[row]?.contains { $0.overlaps(width) } ?? false) {
                taken[row, default: []].append(width)
                return row * LabelRows.rowHeight + LabelRows.baseline
            }
        }
        return height
    }
}
