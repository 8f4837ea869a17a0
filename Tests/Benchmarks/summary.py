"""From samples to what is read: medians, their ratios against the named peers, and whether goals are met."""

from statistics import median

from mesh import OURS

LESS, MORE = "≤", "≥"


class Measure:
    """A number of a figure's samples, and how it is shown."""

    def __init__(self, figure, key, title, unit, digits=0, scale=1):
        self.figure, self.key, self.title = figure, key, title
        self.unit, self.digits, self.scale = unit, digits, scale

    def values(self, samples, path):
        return [
            sample[self.key] for sample in samples
            if sample["figure"] == self.figure and sample["path"] == path and self.key in sample
        ]

    def text(self, value):
        return f"{value / self.scale:,.{self.digits}f} {self.unit}".strip()


BULK = Measure("bulk", "gbps", "bulk, one stream", "Gbit/s", 2)
CPU = Measure("bulk", "cpu_per_gb", "proxies' CPU a GB", "s", 2)
P50 = Measure("latency", "p50", "p50, one connection", "µs")
P99 = Measure("latency", "p99", "p99, one connection", "µs")
REQUESTS = Measure("requests", "rate", "requests/s, 64 connections", "k", 1, 1000)
NEW4 = Measure("connections4", "rate", "new connections/s, 4 clients", "k", 2, 1000)
NEW16 = Measure("connections16", "rate", "new connections/s, 16 clients", "k", 2, 1000)
IDLE = Measure("idle", "rate", "requests/s beside 4,000 idle flows", "k", 1, 1000)
IDLE_ALONE = Measure("idle", "alone", "the same without them", "k", 1, 1000)
IDLE_RATIO = Measure("idle", "ratio", "requests/s beside 4,000 idle flows", "×", 2)
BESIDE = Measure("beside", "p99", "small requests' p99 beside bulk", "µs")
BESIDE_ALONE = Measure("beside", "alone_p99", "the same requests alone", "µs")
BESIDE_OTHER = Measure("beside", "elsewhere_p99", "the same, bulk on another pair", "µs")
BESIDE_RATIO = Measure("beside", "ratio", "small requests' p99 beside bulk", "×", 2)
BESIDE_OTHER_RATIO = Measure("beside", "ratio_elsewhere", "small requests' p99 beside bulk", "×", 2)
START = Measure("start", "ms", "launch to nginx's first byte", "ms", 1)
MEMORY = {
    (part, when): Measure(f"memory {when}", part, f"private memory, {part}, {when}", "MB", 2)
    for part in ("sidecar", "stack", "launcher", "init") for when in ("idle", "flows")
}
SHOWN = [
    BULK, CPU, P50, P99, REQUESTS, NEW4, NEW16, IDLE, IDLE_ALONE, BESIDE, BESIDE_ALONE, BESIDE_OTHER, START,
    *MEMORY.values(),
]
PATHS = ["loopback", "slirp4netns", "haproxy", "pooled", "judged", *OURS]


class Goal:
    """One line of the goals' table. `goals`: path → (goal, stretch); either may be absent."""

    def __init__(self, measure, sense, goals, title=None):
        self.measure, self.sense, self.goals = measure, sense, goals
        self.title = title or measure.title

    @property
    def option(self):
        """What --only calls the figure."""
        return self.measure.figure.split()[0].rstrip("0123456789")

    def line(self, samples, path):
        value, counts, parts = self.value(samples, path)
        goal, stretch = self.goals.get(path, (None, None))
        return {
            "figure": self.title, "path": path, "against": self.against, "value": value, "n": counts,
            "parts": parts, "unit": self.unit, "sense": self.sense, "goal": goal, "stretch": stretch,
            "met": self._met(value, goal), "stretch met": self._met(value, stretch),
        }

    def _met(self, value, goal):
        if value is None or goal is None:
            return None
        return value <= goal if self.sense == LESS else value >= goal


class Ratio(Goal):
    """Median of ours over the median of a peer."""

    unit = "×"

    def __init__(self, measure, against, sense, goals):
        super().__init__(measure, sense, goals)
        self.against = against

    def value(self, samples, path):
        ours = self.measure.values(samples, path)
        peer = self.measure.values(samples, self.against)
        parts = [self.measure.text(median(values)) if values else "–" for values in (ours, peer)]
        value = median(ours) / median(peer) if ours and peer and median(peer) > 0 else None
        return value, [len(ours), len(peer)], parts


class OwnRatio(Goal):
    """Median of the ratios of a path to itself; each was taken in one go."""

    unit = "×"

    def __init__(self, measure, against, shown, sense, goals):
        super().__init__(measure, sense, goals)
        self.against, self.shown = against, shown

    def value(self, samples, path):
        ratios = self.measure.values(samples, path)
        parts = [
            measure.text(median(measure.values(samples, path))) if measure.values(samples, path) else "–"
            for measure in self.shown
        ]
        return (median(ratios) if ratios else None), [len(ratios)], parts


class Memory(Goal):
    """The mean over the sidecars, or instances, of the sum of some of their processes."""

    unit = "MB"
    against = "–"

    def __init__(self, title, measures, goals):
        super().__init__(measures[0], LESS, goals, title)
        self.measures = measures

    def value(self, samples, path):
        all_values = [measure.values(samples, path) for measure in self.measures]
        means = [sum(values) / len(values) for values in all_values if values]
        parts = [", ".join(f"{measure.key} {mean:.2f}" for measure, mean in zip(self.measures, means))]
        return (sum(means) if means else None), [len(all_values[0])], parts


class Difference(Goal):
    """Median of ours, less that of the bare program."""

    unit = "ms"
    against = "nginx alone"

    def value(self, samples, path):
        ours, alone = START.values(samples, path), START.values(samples, "loopback")
        parts = [START.text(median(values)) if values else "–" for values in (ours, alone)]
        value = median(ours) - median(alone) if ours and alone else None
        return value, [len(ours), len(alone)], parts


GOALS = [
    Ratio(BULK, "slirp4netns", MORE, {"veth": (0.8, 1.0), "slirp": (0.4, None)}),
    Ratio(CPU, "judged", LESS, {"veth": (0.5, 0.35), "slirp": (0.8, None)}),
    Ratio(CPU, "slirp4netns", LESS, {"veth": (2.0, 1.5)}),
    Ratio(P50, "judged", LESS, {"veth": (0.6, 0.45), "slirp": (0.8, None)}),
    Ratio(P99, "judged", LESS, {"veth": (0.6, 0.45), "slirp": (0.8, None)}),
    Ratio(REQUESTS, "judged", MORE, {"veth": (1.5, 2.0), "slirp": (1.2, None)}),
    Ratio(NEW4, "judged", MORE, {"veth": (10, 14), "slirp": (4, None)}),
    Ratio(NEW16, "judged", MORE, {"veth": (10, 14), "slirp": (4, None)}),
    Ratio(NEW4, "pooled", MORE, {"veth": (0.45, 0.65)}),
    Ratio(NEW16, "pooled", MORE, {"veth": (0.45, 0.65)}),
    OwnRatio(IDLE_RATIO, "itself without", [IDLE, IDLE_ALONE], MORE, {"veth": (0.7, 0.9)}),
    # "Without, at the same load": the same requests on an idle machine; and beside the same bulk stream of
    # another pair, which leaves as little of the processors, so that what differs is the sidecars' doing.
    OwnRatio(BESIDE_RATIO, "itself without", [BESIDE, BESIDE_ALONE], LESS, {"veth": (3, 1.5)}),
    OwnRatio(
        BESIDE_OTHER_RATIO, "bulk on another pair", [BESIDE, BESIDE_OTHER], LESS, {"veth": (3, 1.5)}),
    Memory(
        "private memory, idle (sidecar and its stack)",
        [MEMORY["sidecar", "idle"], MEMORY["stack", "idle"]], {"veth": (4, 2.5), "slirp": (5, None)}),
    Memory(
        "private memory, 100 flows each",
        [MEMORY["sidecar", "flows"], MEMORY["stack", "flows"]], {"veth": (8, 4), "slirp": (12, None)}),
    Memory(
        "launcher and init", [MEMORY["launcher", "idle"], MEMORY["init", "idle"]], {"veth": (2, 1)}),
    Difference(
        START, LESS, {"veth": (20, 10), "slirp": (30, None)}, "launch to nginx's first byte, more by"),
]


def summarize(meta, samples):
    """Everything that the samples say, as plain values."""
    asked = set(meta["paths"]) - set(meta["unavailable"])
    lines = [
        goal.line(samples, path)
        for goal in GOALS if goal.option in meta["only"] for path in OURS if path in asked
    ]
    table = {}
    for measure in SHOWN:
        row = {path: measure.values(samples, path) for path in PATHS}
        row = {path: {"median": median(values), "n": len(values)} for path, values in row.items() if values}
        if row:
            table[measure.title] = row
    good = [sample for sample in samples if "problem" not in sample]

    def share(key):
        values = [sample[key] for sample in good if key in sample]
        return median(values) if values else None

    return {
        "meta": meta,
        "goals": [line for line in lines if line["value"] is not None],
        "not measured": [
            f"{line['figure']}, {line['path']}, against {line['against']}"
            for line in lines if line["value"] is None and line["goal"] is not None
        ],
        "medians": table,
        "foreign": share("foreign"), "stolen": share("stolen"),
        "problems": [sample for sample in samples if "problem" in sample or "problems" in sample],
    }


# As text


def goal_rows(summary):
    rows = [["", "path", "ours", "against", "", "result", "goal", "stretch", "n"]]
    for line in summary["goals"]:
        number = f"{line['value']:.2f} {line['unit']}".replace(" ×", "×")
        parts = line["parts"] + ["–"] * (2 - len(line["parts"]))

        def aim(key):
            if line[key] is None:
                return "–"
            met = line["met" if key == "goal" else "stretch met"]
            return f"{line['sense']} {line[key]:g} {'met' if met else 'MISSED' if key == 'goal' else 'not yet'}"

        rows.append([
            line["figure"], line["path"], parts[0], line["against"], parts[1], number, aim("goal"),
            aim("stretch"), "/".join(map(str, line["n"]))])
    return rows


def median_rows(summary):
    paths = [path for path in PATHS if any(path in row for row in summary["medians"].values())]
    rows = [["medians (n)", *paths]]
    for measure in SHOWN:
        row = summary["medians"].get(measure.title)
        if row:
            rows.append([measure.title] + [
                f"{measure.text(row[path]['median'])} ({row[path]['n']})" if path in row else "–"
                for path in paths
            ])
    return rows


def aligned(rows):
    widths = [max(map(len, column)) for column in zip(*rows)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows)


def markdown(rows):
    head, *body = rows
    lines = [head, ["---"] * len(head), *body]
    return "\n".join("| " + " | ".join(row) + " |" for row in lines)


def report(summary, form=aligned):
    """The two tables, and what a reader must know to believe them."""
    parts = [form(goal_rows(summary)), form(median_rows(summary))]
    if summary["foreign"] is not None:
        parts.append(
            f"Of all processors' time, {summary['foreign']:.0%} went to other programs and"
            f" {summary['stolen']:.0%} to the hypervisor (medians over samples).")
        if summary["foreign"] > 0.1:
            parts.append("!! This machine wasn't quiet: don't believe these figures, run it again.")
    for name, problem in summary["meta"]["unavailable"].items():
        parts.append(f"!! {name} is LEFT OUT: {problem}")
    if summary["not measured"]:
        parts.append("Not measured: " + "; ".join(summary["not measured"]) + ".")
    for problem in summary["problems"][:20]:
        what = problem.get("problem") or problem["problems"]
        parts.append(f"!! {problem['figure']} on {problem['path']}, round {problem['round']}: {what}")
    return "\n\n".join(parts)
