"""How soon the API shows that a container has ended."""

import statistics
import time

import pytest

from harness.api import Api, Watch
from harness.churn import steady
from harness.cluster import Cluster
from harness.cri import Cri
from harness.kubectl import Kubectl
from harness.objects import container, pod
from harness.pods import Pods, state
from harness.waiting import wait_until

pytestmark = [pytest.mark.faults, pytest.mark.farlet_only]  # faults: it measures, so it runs alone

BOUND = 0.3  # seconds


def test_exit_shows_within_300_ms(cluster: Cluster, kubectl: Kubectl, pods: Pods) -> None:
    """From the moment that containerd notes as the end to the arrival at a watch, with ten other pods running.

    Each container ends on its own at another moment, so that no poll's phase can favour it. The median counts:
    a single value also holds what else this machine does. Every value is printed.
    """
    cri = Cri(cluster)
    pods.run(*steady(10, "other"), timeout=90)
    delays: list[float] = []
    with Watch(Api(cluster), f"/api/v1/namespaces/{kubectl.namespace}/pods") as watch:
        for i in range(11):
            name = f"ends-{i}"
            kubectl.create(pod(name, container(command=f"sleep {2 + 0.17 * i}; exit 3"), restartPolicy="Never"))
            shown = wait_until(f"{name} has ended", lambda name=name: ended(watch, name), 40, 0.05)
            arrived, container_id = shown
            delays.append(arrived - cri.finished_at(container_id))
            time.sleep(0.2)
    print("seconds from exit to watch:", " ".join(f"{each:.3f}" for each in sorted(delays)))
    assert min(delays) > 0, delays
    assert statistics.median(delays) <= BOUND, sorted(delays)


def ended(watch: Watch, name: str) -> tuple[float, str] | None:
    """Arrival of the first version that shows the end, and the container's ID."""
    for change in watch.of(name):
        kind, fields = state(change.thing)
        if kind == "terminated":
            return change.at, fields["containerID"]
    return None
