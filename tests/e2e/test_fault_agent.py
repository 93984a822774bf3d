"""The agent is killed, and started again: no pod notices, nothing is left behind."""

import time

import pytest

from harness.churn import Churn, current, identities, steady
from harness.cluster import Cluster
from harness.cri import Cri
from harness.kubectl import Kubectl
from harness.leaks import assert_clean
from harness.objects import container, pod
from harness.pods import Pods, container_status, is_ready
from harness.processes import Process
from harness.waiting import stays, wait_until

pytestmark = [pytest.mark.faults, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def cri(cluster: Cluster) -> Cri:
    return Cri(cluster)


@pytest.fixture
def agent(cluster: Cluster) -> Process:
    return Process(cluster, f"node-{cluster.node}")


@pytest.mark.parametrize("delay", [0.0, 0.3, 0.8, 1.5])
def test_killed_while_ten_run_and_five_start(
    cluster: Cluster, kubectl: Kubectl, pods: Pods, cri: Cri, agent: Process, delay: float
) -> None:
    before = identities(pods.run(*steady(10, "running"), timeout=90))
    kubectl.create(*steady(5, "starting"))
    time.sleep(delay)
    agent.kill()
    time.sleep(1)
    agent.start()
    for i in range(5):
        pods.ready(f"starting-{i}", 60)
    assert identities(current(kubectl, set(before))) == before
    for i in range(5):
        # A kubelet counts a container as restarted that it had created and not yet started.
        status = container_status(pods.get(f"starting-{i}"))
        assert status["restartCount"] == 0 or cluster.kind == "kubelet", status
    assert_clean(cluster, kubectl, cri)
    stays("no container restarts", lambda: identities(current(kubectl, set(before))) == before, 5, 1)


def test_killed_during_churn(cluster: Cluster, kubectl: Kubectl, cri: Cri, agent: Process) -> None:
    """Containers that end and pods that are deleted while no agent is there."""
    churn = Churn(kubectl)
    churn.begin()
    time.sleep(0.5)
    agent.kill()
    time.sleep(20)
    agent.start()
    churn.check()
    assert_clean(cluster, kubectl, cri)


def test_container_that_crashed_meanwhile(kubectl: Kubectl, pods: Pods, agent: Process) -> None:
    pods.run(pod("falls", container(command="sleep 6; exit 5")))
    agent.kill()
    time.sleep(8)
    agent.start()
    again = pods.wait("falls", "is restarted", lambda each: container_status(each)["restartCount"] == 1, 60)
    assert container_status(again)["lastState"]["terminated"]["exitCode"] == 5


def test_orphans_go_and_foreign_sandboxes_stay(
    cluster: Cluster, kubectl: Kubectl, pods: Pods, cri: Cri, agent: Process
) -> None:
    """Pods whose objects vanish while no agent is there, and a sandbox that somebody else has made."""
    pods.run(*steady(3, "orphan"), *steady(1, "kept"))
    foreign = cri.make_sandbox("foreign", {"owner": "somebody-else"}) if cluster.kind == "farlet" else ""
    try:
        agent.kill()
        kubectl("delete", "pods", "orphan-0", "orphan-1", "orphan-2", "--force", "--grace-period=0")
        agent.start()
        assert_clean(cluster, kubectl, cri, {foreign})
        assert is_ready(pods.get("kept-0"))
        if foreign:
            stays("the foreign sandbox runs", lambda: foreign in ready_sandboxes(cri), 15, 1)
    finally:
        if foreign:
            cri.remove_sandbox(foreign)


def ready_sandboxes(cri: Cri) -> set[str]:
    return {sandbox.id for sandbox in cri.sandboxes() if sandbox.state == Cri.READY}


def test_stopped_in_order(cluster: Cluster, kubectl: Kubectl, pods: Pods, agent: Process) -> None:
    """SIGTERM ends the agent within seconds, leaves the pods alone, and it comes back as if nothing was."""
    before = identities(pods.run(*steady(3)))
    start = time.monotonic()
    agent.kill(15)
    assert time.monotonic() - start < 10
    agent.start()
    wait_until("the node is ready", lambda: is_ready(kubectl.get("node", cluster.node)), 30)
    pods.run(pod("after"))
    assert identities(current(kubectl, set(before))) == before


@pytest.mark.farlet_only  # A kubelet registers when it starts, and never again.
def test_node_object_is_deleted(cluster: Cluster, kubectl: Kubectl, pods: Pods) -> None:
    """Somebody deletes the Node: the agent registers it again, and its pods go on."""
    before = identities(pods.run(*steady(2)))
    uid = kubectl.get("node", cluster.node)["metadata"]["uid"]
    kubectl("delete", "node", cluster.node)

    def registered_again() -> bool:
        node = kubectl.find("node", cluster.node)
        return bool(node and node["metadata"]["uid"] != uid and is_ready(node))

    try:
        wait_until("the node is registered again", registered_again, 40)
    finally:
        if not kubectl.find("node", cluster.node):
            cluster.local("node", "stop", "--node", cluster.node)
            cluster.local("node", "start", "--node", cluster.node)
    assert identities(current(kubectl, set(before))) == before
    pods.run(pod("after"))
