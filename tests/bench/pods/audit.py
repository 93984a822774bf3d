"""What an agent asks the API server, counted from the audit log of the benchmark's cluster."""

import json
import time
from collections import Counter
from datetime import datetime
from pathlib import Path

# What a node does anyway, pods or not.
BACKGROUND = {"leases", "nodes", "certificatesigningrequests", "csinodes", "runtimeclasses", "csidrivers"}


class Requests:
    """Counts of one node between two moments."""

    def __init__(self, log: Path, node: str) -> None:
        self._log, self._user = log, f"system:node:{node}"
        self._offset = log.stat().st_size if log.exists() else 0
        self._start = time.time()

    def count(self, settle: float = 2.0) -> Counter[str]:
        """By verb and resource, since this object was made. Waits for the log, which is written in batches,
        and for what the agent still sends about the pods."""
        time.sleep(settle)
        end = time.time()
        time.sleep(1.5)
        found: Counter[str] = Counter()
        with open(self._log, encoding="utf-8") as file:
            file.seek(self._offset)
            for line in file:
                if not line.endswith("\n"):
                    break
                self._add(json.loads(line), end, found)
        return found

    def _add(self, entry: dict, end: float, found: Counter[str]) -> None:
        reference = entry.get("objectRef", {})
        moment = datetime.fromisoformat(entry["requestReceivedTimestamp"]).timestamp()
        if (
            entry["user"].get("username") != self._user
            or not self._start <= moment <= end
            or reference.get("resource") in BACKGROUND
            # A watch is told at its start and at its end.
            or (entry["verb"] == "watch" and entry["stage"] != "ResponseStarted")
        ):
            return
        subresource = reference.get("subresource")
        what = reference.get("resource", entry["requestURI"].split("?")[0])
        found[f"{entry['verb']} {what}{'/' + subresource if subresource else ''}"] += 1
