"""Counts test cases in a junit report, and names those that failed.

usage: junit.py count FILE     prints: passed failed skipped
       junit.py failures FILE  prints each failure and each skip

Understands the reports of pytest and of ctest. A test that did not run for any other reason than a skip
that it asked for (a missing executable, a failed fixture) counts as failed.
"""

import sys
import xml.etree.ElementTree as ElementTree

MAX_LINES, MAX_LINE = 30, 200  # of one test's failures
LAST_WORDS = 10


def outcome(case: ElementTree.Element) -> str:
    if case.find("failure") is not None or case.find("error") is not None:
        return "failed"
    skipped = case.find("skipped")
    status = case.get("status", "run")
    if status == "fail":
        return "failed"
    if status == "notrun" and not (skipped is not None and skipped.get("message", "").startswith("SKIP_")):
        return "failed"
    if skipped is not None or status in ("disabled", "notrun"):
        return "skipped"
    return "passed"


def message(case: ElementTree.Element) -> str:
    for tag in ("failure", "error", "skipped"):
        found = case.find(tag)
        if found is not None:
            return (found.get("message") or found.text or "").strip().split("\n")[0][:160]
    return ""


def said(case: ElementTree.Element) -> list[str]:
    """What GoogleTest says of its failures, or the last words of a test that crashed: ctest's report
    has them only in the test's output."""
    lines = (case.findtext("system-out") or "").splitlines()
    kept, inside = [], False
    for line in lines:
        if ": Failure" in line:
            inside = True
        elif line.startswith("[") or not line.strip():
            inside = False
        if inside:
            kept.append(line)
    return kept[:MAX_LINES] or lines[-LAST_WORDS:]


def main() -> int:
    mode, path = sys.argv[1], sys.argv[2]
    try:
        cases = list(ElementTree.parse(path).getroot().iter("testcase"))
    except (OSError, ElementTree.ParseError) as error:
        print("0 1 0" if mode == "count" else "", f"no report: {error}")
        return 0
    if mode == "count":
        outcomes = [outcome(case) for case in cases]
        print(*(outcomes.count(kind) for kind in ("passed", "failed", "skipped")))
        return 0
    for case in cases:
        kind = outcome(case)
        if kind != "passed":
            name = f"{case.get('classname', '')}.{case.get('name', '')}"
            print(f"{kind}: {name}: {message(case)}")
        if kind == "failed":
            for line in said(case):
                print(f"  {line[:MAX_LINE]}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
