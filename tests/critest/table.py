#!/usr/bin/python3 -B
"""Compares the reports of one critest run a handler: a table by group, and a line for each test that did not pass.

Every outcome but a pass needs a reason in reasons.txt; otherwise the exit code is 1. A line of that file is `HANDLERS | OUTCOME | TEST | REASON`: handlers separated by
commas, TEST with * for any text.
"""

import argparse
import fnmatch
import json
import sys
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass
from pathlib import Path

OUTCOMES = ("passed", "failed", "skipped")


@dataclass
class Result:
    group: str
    name: str
    outcome: str
    message: str
    seconds: float

    def title(self) -> str:
        return f"{self.group}: {self.name}"


@dataclass
class Reason:
    handlers: set[str]
    outcome: str
    pattern: str
    text: str
    used: bool = False

    def explains(self, handler: str, result: Result) -> bool:
        # Not fnmatch's sets: titles have brackets of their own.
        pattern = self.pattern.replace("[", "[[]")
        if handler not in self.handlers or self.outcome != result.outcome:
            return False
        return fnmatch.fnmatchcase(result.title(), pattern)


def clean(text: str) -> str:
    return text.removeprefix("[k8s.io]").replace("[Conformance]", "").strip()


def read_result(spec: dict) -> Result | None:
    """None for what was not asked for: a test that is filtered out is skipped without a message."""
    failure = spec.get("Failure") or {}
    message = failure.get("Message", "")
    if spec["LeafNodeType"] != "It" or (spec["State"] in ("skipped", "pending") and not message):
        return None
    outcome = spec["State"] if spec["State"] in OUTCOMES else "failed"
    texts = [clean(text) for text in spec["ContainerHierarchyTexts"]]
    name = ", ".join([*texts[1:], clean(spec["LeafNodeText"])])
    return Result(texts[0], name, outcome, message, spec.get("RunTime", 0) / 1e9)


def read_report(path: Path) -> dict[str, Result]:
    suites = json.loads(path.read_text())
    results = [read_result(spec) for suite in suites for spec in suite["SpecReports"] or []]
    return {result.title(): result for result in results if result}


def read_reasons(path: Path) -> list[Reason]:
    reasons = []
    for line in path.read_text().splitlines():
        if line.strip() and not line.startswith("#"):
            handlers, outcome, pattern, text = (part.strip() for part in line.split("|", 3))
            reasons.append(Reason(set(handlers.split(",")), outcome, pattern, text))
    return reasons


def find_reason(reasons: list[Reason], handler: str, result: Result) -> Reason | None:
    for reason in reasons:
        if reason.explains(handler, result):
            reason.used = True
            return reason
    return None


def count(results: list[Result]) -> str:
    return " / ".join(str(sum(result.outcome == outcome for result in results)) for outcome in OUTCOMES)


def print_row(cells: list[str]) -> None:
    print(f"| {' | '.join(cells)} |")


def print_groups(reports: dict[str, dict[str, Result]]) -> None:
    print_row([" / ".join(OUTCOMES), *reports])
    print_row(["---", *["---:"] * len(reports)])
    groups = sorted({result.group for report in reports.values() for result in report.values()})
    for group in groups:
        chosen = [[result for result in report.values() if result.group == group] for report in reports.values()]
        print_row([group, *map(count, chosen)])
    print_row(["all", *(count(list(report.values())) for report in reports.values())])


def print_others(reports: dict[str, dict[str, Result]], reasons: list[Reason]) -> list[str]:
    """What did not pass with each handler; tests that one reason explains alike share a line. Returns what has none."""
    lines: dict[tuple[str, ...], int] = {}
    unexplained = []
    for title in sorted({title for report in reports.values() for title in report}):
        outcomes, texts, pattern = [], [], title
        for handler, report in reports.items():
            result = report.get(title)
            outcomes.append(result.outcome if result else "not run")
            if result is None or result.outcome == "passed":
                continue
            reason = find_reason(reasons, handler, result)
            if reason is None:
                unexplained.append(f"{handler}: {title} {result.outcome}: {' '.join(result.message.split())[:300]}")
                continue
            pattern = reason.pattern
            if reason.text not in texts:
                texts.append(reason.text)
        if set(outcomes) != {"passed"}:
            key = (pattern, *outcomes, "; ".join(texts))
            lines[key] = lines.get(key, 0) + 1
    print_row(["test", *reports, "why"])
    print_row(["---"] * (len(reports) + 2))
    for (pattern, *rest), number in lines.items():
        print_row([pattern.replace("*", "…") + (f" ({number})" if number > 1 else ""), *rest])
    return unexplained


def write_junit(path: str, reports: dict[str, dict[str, Result]], reasons: list[Reason]) -> None:
    root = ElementTree.Element("testsuite", name="critest")
    for handler, report in reports.items():
        for result in report.values():
            attributes = {"classname": f"critest.{handler}", "name": result.title(), "time": f"{result.seconds:.3f}"}
            case = ElementTree.SubElement(root, "testcase", attributes)
            if result.outcome == "passed":
                continue
            reason = find_reason(reasons, handler, result)
            tag, text = ("skipped", reason.text) if reason else ("failure", result.message)
            ElementTree.SubElement(case, tag, message=text)
    ElementTree.ElementTree(root).write(path, encoding="unicode", xml_declaration=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--reports", required=True, help="the folder with HANDLER.json")
    parser.add_argument("--reasons", required=True)
    parser.add_argument("--junit", default="", help="write a junit report")
    parser.add_argument("--partial", action="store_true", help="not all tests were run: a reason may be left over")
    parser.add_argument("handlers", nargs="+")
    options = parser.parse_args()
    reasons = read_reasons(Path(options.reasons))
    reports = {handler: read_report(Path(options.reports) / f"{handler}.json") for handler in options.handlers}
    print_groups(reports)
    print()
    unexplained = print_others(reports, reasons)
    if options.junit:
        write_junit(options.junit, reports, reasons)
    print()
    for line in unexplained:
        print(f"without a reason: {line}")
    # Another machine or another containerd may well pass more.
    for reason in reasons:
        if not reason.used and not options.partial:
            print(f"not needed here: {reason.pattern}")
    return 1 if unexplained or not all(reports.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
