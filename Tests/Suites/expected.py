"""The known differences: which tests fail, and why.

The file has paragraphs: `suite NAME`, then reasons, each a sentence at the margin, followed by the names of its tests,
indented. A name may end with `*`. After `(sometimes)` at the end of a reason its tests may pass, too: those depend on
the machine's speed.
"""


class Expected:
    def __init__(self, path):
        self.suites = {}
        suite = reason = None
        with open(path) as file:
            for line in file:
                text = line.strip()
                if not text or text.startswith("#"):
                    continue
                if line.startswith("suite "):
                    suite, reason = self.suites.setdefault(text[6:], []), None
                elif line[0] != " ":
                    reason = text
                else:
                    suite.append((text, reason))

    def compare(self, name, result):
        """What is neither as it should be nor known, a line each."""
        known = self.suites.get(name, [])
        problems = []
        for test in result.failed:
            if not any(matches(test, pattern) for pattern, _ in known):
                problems.append(f"NEW FAILURE: {test}: {result.failed[test]}")
        ran = set(result.passed) | set(result.failed)
        for pattern, reason in known:
            its = [test for test in ran if matches(test, pattern)]
            if its and not any(test in result.failed for test in its) and not reason.endswith("(sometimes)"):
                problems.append(f"PASSES NOW: {pattern}; take it out of Tests/Suites/expected, where it says: {reason}")
        return problems


def matches(test, pattern):
    if pattern.endswith("*"):
        return test.startswith(pattern[:-1])
    return test == pattern
