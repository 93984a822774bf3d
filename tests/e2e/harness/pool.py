"""The pool of rehearsed machines of a cluster's node."""

import json
import re
import socket
from pathlib import Path

from .cluster import Cluster
from .machines import PARTS, Part
from .waiting import wait_until


class Pool:
    """Switched on in a `with`, and gone afterwards."""

    def __init__(self, cluster: Cluster, size: int) -> None:
        self._config = Path(cluster.state) / "vm.yaml"
        self._folder = Path(cluster.run) / "vm" / "pool"
        self._size = size

    def __enter__(self) -> "Pool":
        self._configure(f"poolSize: {self._size}\n")
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._configure("")
        wait_until("the pool is empty", self._end, 60, 0.5)

    def _configure(self, line: str) -> None:
        text = re.sub(r"(?m)^poolSize:.*\n", "", self._config.read_text(encoding="utf-8"))
        self._config.write_text(text + line, encoding="utf-8")

    def _end(self) -> bool:
        for each in self.sockets():
            with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as spare:
                try:
                    spare.connect(str(each))
                    spare.send(b'{"end": true}')
                except (ConnectionRefusedError, FileNotFoundError):
                    continue
        return not list(self._folder.glob("*/*.json"))

    def sockets(self) -> list[Path]:
        return [each for each in self._folder.glob("*/*") if each.is_socket()]

    def waiting(self) -> dict[int, int]:
        """The memory in MiB of each machine that waits, by its process."""
        return {int(each.name.split("-")[2]): int(each.name.split("-")[0]) for each in self.sockets()}

    def full(self, timeout: float = 60) -> dict[int, int]:
        """Those that wait, when there are as many as there should be."""
        wait_until("the pool is full", lambda: len(self.waiting()) == self._size, timeout, 0.2)
        return self.waiting()

    def parts(self) -> list[Part]:
        """All processes of spares that run."""
        found = []
        for note in self._folder.glob("*/*.json"):
            try:
                of = json.loads(note.read_text(encoding="utf-8"))
            except (FileNotFoundError, json.JSONDecodeError):
                continue
            found += [Part(kind, of[kind]["pid"], of[kind]["startTime"]) for kind in PARTS if of[kind]["pid"]]
        return [part for part in found if part.alive]

    def part(self, pid: int, kind: str) -> Part:
        """The shim-to-be of a spare, its QEMU or its file server."""
        note = next(each for each in self._folder.glob(f"*/*-{pid}.json"))
        of = json.loads(note.read_text(encoding="utf-8"))[kind]
        return Part(kind, of["pid"], of["startTime"])
