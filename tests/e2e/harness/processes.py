"""Ends and starts processes of the cluster, by the pid files that deploy/local keeps."""

import os
import signal
import subprocess
import time
from pathlib import Path

from .cluster import Cluster


class Process:
    """One process of the cluster by its name there: kube-apiserver, containerd-main, node-<node>."""

    def __init__(self, cluster: Cluster, name: str) -> None:
        self.cluster = cluster
        self.name = name
        self._pid_file = Path(cluster.run) / "pid" / name
        self.command = [word.decode() for word in Path(f"/proc/{self.pid}/cmdline").read_bytes().split(b"\0")[:-1]]
        # containerd, for one, finds the shim by its PATH.
        self._environment = dict(
            word.decode().split("=", 1) for word in Path(f"/proc/{self.pid}/environ").read_bytes().split(b"\0") if b"=" in word
        )
        self._child: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        return int(self._pid_file.read_text(encoding="ascii").split()[0])

    @property
    def alive(self) -> bool:
        try:
            state = Path(f"/proc/{self.pid}/stat").read_text(encoding="ascii").rpartition(") ")[2][0]
            threads = len(os.listdir(f"/proc/{self.pid}/task"))
        except (FileNotFoundError, ProcessLookupError):
            return False
        # The first thread is a zombie while others still end, and until then sockets stay open.
        return state != "Z" or threads > 1

    def kill(self, number: int = signal.SIGKILL) -> None:
        """Returns when it is gone."""
        os.kill(self.pid, number)
        deadline = time.monotonic() + 30
        while self.alive:
            assert time.monotonic() < deadline, f"{self.name} did not end"
            if self._child:
                self._child.poll()
            time.sleep(0.01)

    def start(self, *more_arguments: str) -> None:
        """The same command as before, in the cluster's network namespace."""
        assert not self.alive, f"{self.name} runs already"
        log = Path(self.cluster.logs) / f"{self.name}.log"
        words = ["nsenter", f"--net=/run/netns/{self.cluster.netns}", "--", *self.command, *more_arguments]
        with open(log, "ab") as output:
            options = {"env": self._environment, "start_new_session": True, "cwd": "/"}
            self._child = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=output, stderr=output, **options)
        pid = self._child.pid
        started = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(") ")[2].split()[19]
        self._pid_file.write_text(f"{pid} {started}\n", encoding="ascii")


def cpu_seconds(pid: int) -> float:
    """User and system time of a process until now."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(") ")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def machine_cpu_seconds() -> float:
    """Of all cores since the boot: everything but idleness."""
    words = Path("/proc/stat").read_text(encoding="ascii").split("\n", 1)[0].split()
    user, nice, system, _, _, irq, softirq = (int(word) for word in words[1:8])
    return (user + nice + system + irq + softirq) / os.sysconf("SC_CLK_TCK")


def resident_kib(pid: int) -> int:
    for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    raise AssertionError(f"no VmRSS of {pid}")
