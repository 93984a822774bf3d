"""A burst of pause pods: posted at once, watched until Ready, deleted at once, watched until gone.

Both agents get the same pods from the same client. Times are those at which one watch saw the change, so a
poll's period is in none of them. Every time counts from the burst's first request.
"""

import math
import secrets
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from harness.api import Api, ApiError, Change, Watch
from harness.pods import is_ready
from harness.waiting import wait_until

PAUSE = "registry.k8s.io/pause:3.10"
CLIENTS = 8


def pause_pod(name: str, node: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": {"app": "burst"}},
        "spec": {
            "nodeSelector": {"kubernetes.io/hostname": node},
            "containers": [{"name": "pause", "image": PAUSE, "imagePullPolicy": "IfNotPresent"}],
        },
    }


def percentile(values: list[float], part: float) -> float:
    """Nearest rank."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(part * len(ordered)) - 1)]


def difference(before: dict[str, float], after: dict[str, float]) -> dict[str, float]:
    return {key: value - before[key] for key, value in after.items()}


@dataclass
class Phase:
    """One phase of a burst: when each pod was asked for, and when it was seen to be there."""

    count: int
    asked: dict[str, float] = field(default_factory=dict)
    seen: dict[str, float] = field(default_factory=dict)
    done: threading.Event = field(default_factory=threading.Event)
    cpu: dict[str, float] = field(default_factory=dict)  # seconds, by whom

    def arrive(self, change: Change) -> None:
        if change.name not in self.seen:
            self.seen[change.name] = change.at
            if len(self.seen) == self.count:
                self.done.set()

    @property
    def start(self) -> float:
        return min(self.asked.values())

    @property
    def total(self) -> float:
        return max(self.seen.values()) - self.start

    def numbers(self) -> dict[str, float]:
        each = [seen - self.start for seen in self.seen.values()]
        return {
            "p50": percentile(each, 0.5),
            "p99": percentile(each, 0.99),
            "total": self.total,
            "requests": max(self.asked.values()) - self.start,
            **self.cpu,
        }


class Burst:
    """`count` pods on a node, in a namespace of their own. start(), then remove(). `cpu` reads used seconds."""

    def __init__(self, api: Api, node: str, count: int, cpu: Callable[[], dict[str, float]]) -> None:
        self._api, self._node, self._cpu = api, node, cpu
        self.namespace = f"burst-{secrets.token_hex(3)}"
        self._names = [f"pause-{i:03}" for i in range(count)]
        self.started, self.removed = Phase(count), Phase(count)
        api("POST", "/api/v1/namespaces", {"metadata": {"name": self.namespace}})
        account = f"/api/v1/namespaces/{self.namespace}/serviceaccounts/default"
        wait_until("the default account exists", lambda: self._exists(account), 30, 0.05)
        wait_until(
            "the authority's ConfigMap exists",
            lambda: self._exists(f"/api/v1/namespaces/{self.namespace}/configmaps/kube-root-ca.crt"), 30, 0.05,
        )  # fmt: skip
        self._watch = Watch(api, self._pods, self._change)

    @property
    def _pods(self) -> str:
        return f"/api/v1/namespaces/{self.namespace}/pods"

    def _exists(self, path: str) -> bool:
        try:
            return bool(self._api("GET", path))
        except ApiError:
            return False

    def _change(self, change: Change) -> None:
        if change.kind == "DELETED":
            self.removed.arrive(change)
        elif change.thing["status"].get("phase") == "Running" and is_ready(change.thing):
            self.started.arrive(change)

    def _phase(self, phase: Phase, request: Any, limit: float) -> None:
        before = self._cpu()
        with ThreadPoolExecutor(CLIENTS) as clients:
            # Connections first: their TLS handshakes are not what is measured.
            list(clients.map(self._connect, range(CLIENTS)))

            def ask(name: str) -> None:
                phase.asked[name] = time.time()
                request(name)

            list(clients.map(ask, self._names))
        if not phase.done.wait(limit):
            raise RuntimeError(f"{len(phase.seen)} of {phase.count} pods within {limit:g} s on {self._node}")
        phase.cpu = difference(before, self._cpu())

    def _connect(self, _: int) -> None:
        self._api("GET", "/version")
        time.sleep(0.05)  # so that each thread gets one of these calls

    def start(self) -> Phase:
        self._phase(self.started, lambda name: self._api("POST", self._pods, pause_pod(name, self._node)), 300)
        return self.started

    def remove(self) -> Phase:
        self._phase(self.removed, lambda name: self._api("DELETE", f"{self._pods}/{name}"), 300)
        return self.removed

    def close(self) -> None:
        """Waits for the namespace's end: the controllers delete its events one by one, which takes a second of
        CPU time that is nothing of whoever is measured next."""
        self._watch.__exit__()
        namespace = f"/api/v1/namespaces/{self.namespace}"
        self._api("DELETE", namespace)
        wait_until("the namespace is gone", lambda: not self._exists(namespace), 120, 0.2)
