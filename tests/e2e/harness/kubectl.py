"""The real kubectl, with a deadline for every call."""

import json
import os
import subprocess
import threading
from typing import Any

from .cluster import Cluster

Json = dict[str, Any]


class Kubectl:
    """kubectl in one namespace. Calls fail loudly unless check=False."""

    def __init__(self, cluster: Cluster, namespace: str = "default") -> None:
        self.cluster = cluster
        self.namespace = namespace

    def words(self, *arguments: str) -> list[str]:
        return [self.cluster.kubectl_binary, "--kubeconfig", self.cluster.kubeconfig, "-n", self.namespace, *arguments]

    def run(
        self, *arguments: str, stdin: str | bytes | None = None, check: bool = True, deadline: float = 60
    ) -> subprocess.CompletedProcess[str]:
        data = stdin.encode() if isinstance(stdin, str) else stdin
        options: Json = {"input": data} if data is not None else {"stdin": subprocess.DEVNULL}
        raw = subprocess.run(self.words(*arguments), capture_output=True, timeout=deadline, **options)
        done = subprocess.CompletedProcess(
            raw.args, raw.returncode, raw.stdout.decode(errors="replace"), raw.stderr.decode(errors="replace")
        )
        assert not check or done.returncode == 0, (
            f"kubectl {' '.join(arguments)}: code {done.returncode}: {done.stdout[-500:]} {done.stderr[-1500:]}"
        )
        return done

    def __call__(self, *arguments: str, **options: Any) -> str:
        return self.run(*arguments, **options).stdout

    def apply(self, *objects: Json) -> None:
        """Creates or changes objects."""
        self("apply", "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": list(objects)}))

    def replace(self, *objects: Json) -> None:
        self("replace", "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": list(objects)}))

    def create(self, *objects: Json) -> None:
        self("create", "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": list(objects)}))

    def get(self, kind: str, name: str) -> Json:
        return json.loads(self("get", kind, name, "-o", "json"))

    def find(self, kind: str, name: str) -> Json | None:
        """None when there is no such object."""
        text = self("get", kind, name, "-o", "json", "--ignore-not-found")
        return json.loads(text) if text.strip() else None

    def list(self, kind: str, selector: str = "") -> list[Json]:
        arguments = ["-l", selector] if selector else []
        return json.loads(self("get", kind, "-o", "json", *arguments))["items"]

    def start(self, *arguments: str, stdin: int | None = subprocess.DEVNULL) -> "Running":
        """A kubectl that goes on: logs -f, port-forward, attach."""
        return Running(self.words(*arguments), stdin)


class Running:
    """A process whose output is collected while it runs. Use it in a `with`; leaving ends it."""

    def __init__(self, words: list[str], stdin: int | None) -> None:
        self.process = subprocess.Popen(
            words, stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=dict(os.environ)
        )
        self._chunks: dict[str, list[bytes]] = {"stdout": [], "stderr": []}
        self._threads = [
            threading.Thread(target=self._read, args=(name, getattr(self.process, name)), daemon=True)
            for name in self._chunks
        ]
        for thread in self._threads:
            thread.start()

    def _read(self, name: str, stream: Any) -> None:
        while data := os.read(stream.fileno(), 65536):
            self._chunks[name].append(data)

    @property
    def stdout(self) -> str:
        return b"".join(self._chunks["stdout"]).decode(errors="replace")

    @property
    def stderr(self) -> str:
        return b"".join(self._chunks["stderr"]).decode(errors="replace")

    def send(self, text: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(text.encode())
        self.process.stdin.flush()

    def close_stdin(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()

    def wait(self, deadline: float = 30) -> int:
        """The exit code; all output has been read."""
        code = self.process.wait(timeout=deadline)
        for thread in self._threads:
            thread.join(timeout=5)
        return code

    def __enter__(self) -> "Running":
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.wait(10)
