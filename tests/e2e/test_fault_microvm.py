"""kill -9 of shims, QEMUs, file servers and containerd at random moments of many pods' lives in microVMs: no pod is
stuck, each has a status that is true, and nothing is left."""

import os
import random
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from harness.cluster import Cluster
from harness.cri import Cri
from harness.kubectl import Kubectl
from harness.leaks import assert_clean
from harness.machines import Machines
from harness.objects import FOREVER, container, pod
from harness.pods import Pods, state
from harness.pool import Pool
from harness.processes import Process
from harness.waiting import wait_until

Json = dict[str, Any]

LIVES = int(os.environ.get("FARLET_TEST_LIVES", "24"))
AT_ONCE = 4
# A machine that is killed takes another start, and so does the one after it; who is killed again and again is held back,
# five minutes in the end.
PATIENCE = 600
KILLED = 137
UNKNOWN = 255  # containerd's code for a container whose shim is gone: nobody was there to see its end
NOT_STARTED = 128  # containerd's code for a container whose start failed; its message says why
pytestmark = [pytest.mark.faults, pytest.mark.farlet_only, pytest.mark.timeout(300 + 30 * LIVES)]


class Killer:
    """Kills something of the machines every few seconds, and containerd now and then. Use it in a `with`."""

    def __init__(self, cluster: Cluster, pool: Pool, seed: int) -> None:
        self._machines, self._pool, self._random = Machines(cluster), pool, random.Random(seed)
        self._containerd = Process(cluster, "containerd-main")
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.killed: Counter[str] = Counter()

    def __enter__(self) -> "Killer":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._ended.wait(self._random.uniform(0.5, 4)):
            if self._random.random() < 0.08:
                self._containerd.kill()
                self._containerd.start()
                self.killed["containerd"] += 1
                continue
            kind = self._random.choice(("shim", "qemu", "fileServer"))
            parts = [part for part in self._machines.parts() + self._pool.parts() if part.kind == kind]
            if parts and self._random.choice(parts).kill():
                self.killed[kind] += 1


def works(kubectl: Kubectl, name: str) -> str:
    """Runs once: it ends by itself, is killed, or its machine is while it is being started, and nothing else."""
    kubectl.create(
        pod(name, container(command="sleep 1; exit 3"), runtimeClassName="farlet", restartPolicy="Never")
    )
    ended = Pods(kubectl).phase(name, "Failed", PATIENCE)
    kind, fields = state(ended)
    assert kind == "terminated", ended["status"]
    assert fields["exitCode"] in (3, KILLED, UNKNOWN, NOT_STARTED), fields
    assert (fields["exitCode"] == NOT_STARTED) == (fields["reason"] == "StartError"), fields
    kubectl("delete", "pod", name, "--wait=false")
    Pods(kubectl).gone(name, PATIENCE)
    return f"ended with {fields['exitCode']}"


def serves(kubectl: Kubectl, name: str, pause: float) -> str:
    """Becomes ready however often it is killed, and goes when it is told to."""
    kubectl.create(pod(name, container(command=FOREVER), runtimeClassName="farlet"))
    Pods(kubectl).ready(name, PATIENCE)
    time.sleep(pause)
    kubectl("delete", "pod", name, "--wait=false")
    Pods(kubectl).gone(name, PATIENCE)
    return "served"


@pytest.mark.parametrize("spares", (0, 2))
def test_killed_at_random(cluster: Cluster, kubectl: Kubectl, pods: Pods, spares: int) -> None:
    seed = random.randrange(1 << 32)
    dice = random.Random(seed)
    machines = Machines(cluster)
    # The template and the image are not what this is about.
    pods.run(pod("first", runtimeClassName="farlet"), timeout=120)
    lives = [
        (works, (kubectl, f"works-{i}")) if i % 2 else (serves, (kubectl, f"serves-{i}", dice.uniform(0, 3)))
        for i in range(LIVES)
    ]
    with Pool(cluster, spares) as pool:
        with Killer(cluster, pool, seed) as killer, ThreadPoolExecutor(AT_ONCE) as threads:
            futures = [threads.submit(life, *arguments) for life, arguments in lives]
            outcomes = Counter(future.result() for future in futures)
        # The next start is what replaces those that were killed while they waited.
        pods.run(pod("last", runtimeClassName="farlet"), timeout=120)
        pool.full()
    print(f"seed {seed}; killed: {dict(killer.killed)}; outcomes: {dict(outcomes)}")
    assert outcomes.total() == LIVES
    assert killer.killed.total() >= LIVES / 4, killer.killed
    for name in ("first", "last"):
        kubectl("delete", "pod", name, "--wait=false")
        pods.gone(name, PATIENCE)
    cri = Cri(cluster)
    assert_clean(cluster, kubectl, cri, timeout=120)

    def nothing_left() -> bool:
        left = machines.left({each.id for each in cri.sandboxes()})
        assert not left, left
        return True

    wait_until("nothing of a machine is left", nothing_left, 60, 1)
