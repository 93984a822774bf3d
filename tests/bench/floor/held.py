"""Runs farlet-cri-floor with a pause between the start of its pods and their removal."""

import json
import subprocess
from collections.abc import Callable
from typing import Any


def run_held(words: list[str], started: Callable[[], None]) -> dict[str, Any]:
    """What it measured. `started` is called while all pods are there."""
    words = [*words, "--hold"]
    with subprocess.Popen(
        words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as floor:
        assert floor.stderr
        line = floor.stderr.readline()
        if line == "started\n":
            started()
        out, errors = floor.communicate(timeout=600)
    if floor.returncode != 0 or line != "started\n":
        raise RuntimeError(f"{' '.join(words)}: {line}{errors[-2000:]}")
    measured: dict[str, Any] = json.loads(out)
    return measured
