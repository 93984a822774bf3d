"""The numbers as a table in markdown, and as JSON."""

from collections import Counter
from statistics import mean, median
from typing import Any

Numbers = dict[str, float]
DETAILS = (
    ("p50", "p50, s"),
    ("p99", "p99, s"),
    ("cpu_machine", "CPU of the machine, s"),
    ("cpu_client", "CPU of the client, s"),
    ("cpu_control", "CPU of the control plane, s"),
    ("cpu", "agent CPU, s"),
)


def middle(rounds: list[Numbers], key: str) -> float:
    return median(each[key] for each in rounds)


def spread(rounds: list[Numbers], key: str) -> str:
    values = [each[key] for each in rounds]
    return f"{min(values):.2f}–{max(values):.2f}" if len(values) > 1 else ""


def middle_and_spread(rounds: list[Numbers], key: str) -> str:
    text = f"{middle(rounds, key):.2f}"
    return text + (f" ({spread(rounds, key)})" if len(rounds) > 1 else "")


class Report:
    """Collects; rows are metrics, columns are who was measured."""

    def __init__(self, machine: dict[str, Any], columns: list[str]) -> None:
        self._machine, self._columns = machine, columns
        self.rounds: dict[tuple[int, str, str], list[Numbers]] = {}  # pods, who, phase
        self._floors_before: dict[tuple[int, str, str], list[int]] = {}  # of each round of an agent
        self.idle: dict[tuple[int, str], Numbers] = {}
        self.requests: dict[tuple[int, str, str], Counter[str]] = {}

    def add(self, pods: int, who: str, phase: str, numbers: Numbers) -> None:
        floors = len(self.rounds.get((pods, "floor", phase), []))
        self._floors_before.setdefault((pods, who, phase), []).append(floors)
        self.rounds.setdefault((pods, who, phase), []).append(numbers)

    def as_json(self) -> dict[str, Any]:
        return {
            "machine": self._machine,
            "rounds": [{"pods": k[0], "who": k[1], "phase": k[2], "rounds": v} for k, v in self.rounds.items()],
            "idle": [{"pods": k[0], "who": k[1], **v} for k, v in self.idle.items()],
            "requests": [
                {"pods": k[0], "who": k[1], "phase": k[2], "counts": dict(v)} for k, v in self.requests.items()
            ],
        }

    def as_markdown(self) -> str:
        facts = ", ".join(f"{key} {value}" for key, value in self._machine.items())
        lines = [f"Machine: {facts}.", ""]
        lines.append("| pods | metric | " + " | ".join(self._columns) + " |")
        lines.append("|---:|---|" + "---:|" * len(self._columns))
        for pods in sorted({key[0] for key in self.rounds}):
            lines += self._rows(pods)
        return "\n".join(lines) + "\n\n" + self._request_table()

    def _rows(self, pods: int) -> list[str]:
        rows = []
        for phase, verb in (("start", "all Running and Ready"), ("remove", "all gone")):
            for key, label in (("total", f"{verb}, s"), *DETAILS):
                cells = [self._cell(pods, who, phase, key) for who in self._columns]
                if any(cell != "–" for cell in cells):
                    rows.append(
                        f"| {pods} | {label if key == 'total' else f'{phase}: {label}'} | " + " | ".join(cells) + " |"
                    )
            if (pods, "floor", phase) in self.rounds:
                cells = [self._times_the_floor(pods, who, phase) for who in self._columns]
                rows.append(f"| {pods} | {verb}, times the floor | " + " | ".join(cells) + " |")
        for key, label, form in (
            ("cpu_percent", "idle: agent CPU, % of a core", "{:.2f}"),
            ("rss_mib", "idle: agent RSS, MiB", "{:.0f}"),
        ):
            values = [self.idle.get((pods, who), {}).get(key) for who in self._columns]
            if any(value is not None for value in values):
                cells = ["–" if value is None else form.format(value) for value in values]
                rows.append(f"| {pods} | {label} | " + " | ".join(cells) + " |")
        for phase in ("start", "remove"):
            counts = [self.requests.get((pods, who, phase)) for who in self._columns]
            if any(count is not None for count in counts):
                cells = ["–" if count is None else f"{count.total() / pods:.1f}" for count in counts]
                rows.append(f"| {pods} | {phase}: API requests a pod | " + " | ".join(cells) + " |")
        return rows

    def _cell(self, pods: int, who: str, phase: str, key: str) -> str:
        rounds = self.rounds.get((pods, who, phase))
        if not rounds or key not in rounds[0]:
            return "–"
        return middle_and_spread(rounds, key) if key == "total" else f"{middle(rounds, key):.2f}"

    def _times_the_floor(self, pods: int, who: str, phase: str) -> str:
        """Each burst by the floor's before and after it: a machine that is slow for a while is slow for both."""
        rounds = self.rounds.get((pods, who, phase), [])
        if who == "floor" or not rounds:
            return "–"
        floors = [each["total"] for each in self.rounds[pods, "floor", phase]]
        beside = [mean(floors[max(0, i - 1) : i + 1]) for i in self._floors_before[pods, who, phase]]
        ratios = [{"ratio": each["total"] / floor} for each, floor in zip(rounds, beside)]
        overall = sum(each["total"] for each in rounds) / sum(beside)
        return f"{middle_and_spread(ratios, 'ratio')}; {overall:.2f} in all"

    def _request_table(self) -> str:
        who = [each for each in self._columns if any(key[1] == each for key in self.requests)]
        pods = max((key[0] for key in self.requests), default=0)
        if not who:
            return ""
        lines = [f"API requests for each pod, by kind ({pods} pods):", ""]
        lines += ["| phase | request | " + " | ".join(who) + " |", "|---|---|" + "---:|" * len(who)]
        for phase in ("start", "remove"):
            counts = [self.requests.get((pods, each, phase), Counter()) for each in who]
            for kind in sorted(set().union(*counts)):
                cells = [f"{count[kind] / pods:.2f}" for count in counts]
                lines.append(f"| {phase} | {kind} | " + " | ".join(cells) + " |")
        return "\n".join(lines) + "\n"
