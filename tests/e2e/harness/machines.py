"""The processes and files of the pods' microVMs, as the shims themselves have noted them."""

import json
import os
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .cluster import Cluster

PARTS = ("shim", "qemu", "fileServer")


@dataclass(frozen=True)
class Part:
    """One process of one machine."""

    kind: str
    pid: int
    start_time: int

    @property
    def alive(self) -> bool:
        try:
            fields = Path(f"/proc/{self.pid}/stat").read_text(encoding="utf-8").rpartition(") ")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            return False
        return fields[0] not in "ZX" and int(fields[19]) == self.start_time

    def kill(self) -> bool:
        """False when it was gone already."""
        if not self.alive:
            return False
        try:
            os.kill(self.pid, signal.SIGKILL)
        except ProcessLookupError:
            return False
        return True


class Machines:
    """Of one cluster."""

    def __init__(self, cluster: Cluster) -> None:
        self._run = Path(cluster.run) / "vm"
        self._state = Path(cluster.state) / "vm"

    def notes(self) -> list[dict[str, Any]]:
        """What each pod's shim has noted."""
        found = []
        for each in Path("/run/containerd/s").glob("*.json"):
            try:
                note = json.loads(each.read_text(encoding="utf-8"))
            except (FileNotFoundError, json.JSONDecodeError):
                continue
            if note["workDir"].startswith(f"{self._run}/"):
                found.append(note | {"note": str(each)})
        return found

    def parts(self) -> list[Part]:
        """Those that run."""
        every = [
            Part(kind, note[kind]["pid"], note[kind]["startTime"])
            for note in self.notes()
            for kind in PARTS
            if note[kind]["pid"]
        ]
        return [part for part in every if part.alive]

    def left(self, sandboxes: set[str]) -> list[str]:
        """What belongs to none of these sandboxes (IDs), one line each."""
        notes = self.notes()
        # The cgroups of a machine are its sandbox's.
        known = sandboxes | {
            Path(note["workDir"]).name for note in notes if any(each in str(note["cgroups"]) for each in sandboxes)
        }
        found = [f"{note['note']}: {note['workDir']}" for note in notes]
        for folder in (self._run / "pods", self._state / "cache" / "disks"):
            found += [str(each) for each in folder.glob("*")]
        for process in Path("/proc").glob("[0-9]*"):
            try:
                words = (process / "cmdline").read_bytes()
            except (FileNotFoundError, ProcessLookupError):
                continue
            ours = str(self._run.parent).encode() in words
            if ours and words.split(b"\0")[0].endswith((b"qemu-system-x86_64", b"containerd-shim-farlet-v2")):
                found.append(f"process {process.name}: {words.decode(errors='replace')}")
        return [line[:400] for line in found if not any(each in line for each in known)]
