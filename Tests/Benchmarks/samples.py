"""Samples of one figure: their percentiles, a table for people, a line of JSON for programs."""

import json
import math
import os
import platform
import subprocess

here = os.path.dirname(os.path.realpath(__file__))


def percentile(values, share):
    """The nearest rank: a value that was measured, never one between two."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


class Figures:
    """Figures of one run, each from samples, and the facts beside them. All of it becomes one flat object:
    `NAME_n`, `NAME_p50`, `NAME_p99`, `NAME_max`, with the unit at the end of NAME."""

    def __init__(self, title):
        self.title, self.rows, self.facts = title, [], {}

    def add(self, name, title, values, digits=2):
        values = list(values)
        if not values:
            return
        row = {
            "n": len(values), "p50": percentile(values, 0.5), "p99": percentile(values, 0.99),
            "max": max(values)}
        self.rows.append((name, title, digits, row))

    def fact(self, name, value):
        self.facts[name] = value

    def flat(self):
        flat = {
            f"{name}_{key}": value if key == "n" else round(value, 6)
            for name, _, _, row in self.rows for key, value in row.items()}
        return flat | self.facts | machine()

    def show(self, only_json=False):
        if not only_json:
            print(f"{self.title}\n")
            width = max((len(title) for _, title, _, _ in self.rows), default=0)
            print(f"{'':{width}}  {'n':>7}  {'p50':>10}  {'p99':>10}  {'max':>10}")
            for _, title, digits, row in self.rows:
                numbers = "  ".join(f"{row[key]:>10,.{digits}f}" for key in ("p50", "p99", "max"))
                print(f"{title:{width}}  {row['n']:>7,}  {numbers}")
            print()
            for name, value in self.facts.items():
                print(f"{name}: {value}")
            print()
        print(json.dumps(self.flat()), flush=True)


def machine():
    """What was measured, and how busy the machine was besides: tasks that run on average, with its own."""
    try:
        commit = subprocess.run(
            ["git", "describe", "--always", "--dirty"], cwd=here, capture_output=True, text=True, timeout=10
        ).stdout.strip()
    except OSError:
        commit = ""
    return {
        "commit": commit, "kernel": platform.release(), "processors": os.cpu_count(),
        "load_1min": round(os.getloadavg()[0], 2)}
