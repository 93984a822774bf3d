"""The API server is away for a minute, and containerd is: nothing is lost, doubled or leaked."""

import time

import pytest

from harness.churn import Churn
from harness.cluster import Cluster
from harness.cri import Cri
from harness.kubectl import Kubectl
from harness.leaks import assert_clean
from harness.objects import pod
from harness.pods import Pods, condition, is_ready
from harness.processes import Process
from harness.waiting import wait_until

pytestmark = [pytest.mark.faults, pytest.mark.timeout(420)]


@pytest.fixture(scope="module")
def cri(cluster: Cluster) -> Cri:
    return Cri(cluster)


def test_api_server_away_for_a_minute(cluster: Cluster, kubectl: Kubectl, pods: Pods, cri: Cri) -> None:
    churn = Churn(kubectl)
    server = Process(cluster, "kube-apiserver")
    churn.begin()
    time.sleep(0.3)
    server.kill()
    try:
        time.sleep(60)
    finally:
        server.start()
    wait_until(
        "the API server answers", lambda: kubectl.run("get", "--raw", "/readyz", check=False).returncode == 0, 90, 1
    )
    churn.check(120)
    wait_until("the node is ready", lambda: is_ready(kubectl.get("node", cluster.node)), 60)
    assert_clean(cluster, kubectl, cri)
    # The scheduler and the controllers look again after up to a minute.
    pods.run(pod("after"), timeout=150)


def test_api_server_restarts_often(cluster: Cluster, kubectl: Kubectl, cri: Cri) -> None:
    churn = Churn(kubectl, 3)
    server = Process(cluster, "kube-apiserver")
    for i in range(3):
        if i == 0:
            churn.begin()
        server.kill()
        time.sleep(2)
        server.start()
        wait_until("it answers", lambda: kubectl.run("get", "--raw", "/readyz", check=False).returncode == 0, 60, 0.5)
        time.sleep(3)
    churn.check()
    assert_clean(cluster, kubectl, cri)


def test_containerd_away(cluster: Cluster, kubectl: Kubectl, pods: Pods, cri: Cri) -> None:
    """The node says that it is not ready, and why; when containerd is back, everything goes on."""
    churn = Churn(kubectl)
    runtime = Process(cluster, "containerd-main")
    churn.begin()
    time.sleep(0.5)
    runtime.kill()
    try:
        down = time.monotonic()

        def not_ready() -> dict:
            found = condition(kubectl.get("node", cluster.node), "Ready")
            return found if found["status"] == "False" else {}

        said = wait_until("the node is not ready", not_ready, 60)
        assert said["reason"] == "KubeletNotReady"
        assert "runtime" in said["message"]
        time.sleep(max(0.0, 20 - (time.monotonic() - down)))
    finally:
        runtime.start()
    wait_until("the node is ready", lambda: is_ready(kubectl.get("node", cluster.node)), 60)
    churn.check(120)
    assert_clean(cluster, kubectl, cri)
    pods.run(pod("after"))


def test_containerd_restarts(cluster: Cluster, kubectl: Kubectl, pods: Pods, cri: Cri) -> None:
    """As an upgrade of its package does it."""
    churn = Churn(kubectl, 3)
    runtime = Process(cluster, "containerd-main")
    churn.begin()
    runtime.kill(15)
    runtime.start()
    churn.check(120)
    assert_clean(cluster, kubectl, cri)
    pods.run(pod("after"))
