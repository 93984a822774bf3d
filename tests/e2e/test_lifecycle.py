"""Init containers, deletion in every stage, grace."""

import time
from collections.abc import Iterator

import pytest

from harness.cluster import Cluster
from harness.kubectl import Kubectl
from harness.objects import FOREVER, container, pod
from harness.pods import Pods, condition, container_status, reason, state
from harness.stuck_registry import StuckRegistry
from harness.waiting import wait_until

SHARED = [{"name": "data", "mountPath": "/data"}]
VOLUME = [{"name": "data", "emptyDir": {}}]


def test_init_containers_run_in_order(kubectl: Kubectl, pods: Pods) -> None:
    inits = [
        container(name, f"sleep 3; echo {name} >>/data/order", volumeMounts=SHARED) for name in ("one", "two", "three")
    ]
    last = container(command="echo main >>/data/order; exec sleep 3600", volumeMounts=SHARED)
    kubectl.create(pod("ordered", last, initContainers=inits, volumes=VOLUME))
    early = pods.wait("ordered", "is in the first", lambda each: state(each, "one")[0] == "running")
    assert early["status"]["phase"] == "Pending"
    assert reason(early) == "PodInitializing"
    assert condition(early, "Initialized")["status"] == "False"
    assert condition(early, "Initialized")["reason"] == "ContainersNotInitialized"
    assert "[one two three]" in condition(early, "Initialized")["message"]
    ready = pods.ready("ordered")
    assert pods.exec("ordered", "cat", "/data/order").split() == ["one", "two", "three", "main"]
    assert [each["name"] for each in ready["status"]["initContainerStatuses"]] == ["one", "two", "three"]
    for status in ready["status"]["initContainerStatuses"]:
        assert status["state"]["terminated"]["reason"] == "Completed"
        assert status["ready"] is True
    ends = [status["state"]["terminated"] for status in ready["status"]["initContainerStatuses"]]
    assert ends[0]["finishedAt"] <= ends[1]["startedAt"] <= ends[1]["finishedAt"] <= ends[2]["startedAt"]


def test_init_container_is_retried(kubectl: Kubectl, pods: Pods) -> None:
    script = "test -e /data/ran || { touch /data/ran; exit 1; }"
    kubectl.create(pod("retried", initContainers=[container("init", script, volumeMounts=SHARED)], volumes=VOLUME))
    ready = pods.ready("retried")
    assert container_status(ready, "init")["restartCount"] == 1
    assert container_status(ready)["restartCount"] == 0


def test_init_container_fails_for_good(kubectl: Kubectl, pods: Pods) -> None:
    kubectl.create(pod("broken", initContainers=[container("init", "exit 9")], restartPolicy="Never"))
    failed = pods.phase("broken", "Failed")
    assert container_status(failed, "init")["state"]["terminated"]["exitCode"] == 9
    assert state(failed)[0] == "waiting" and reason(failed) == "PodInitializing"
    assert condition(failed, "Initialized")["status"] == "False"


def test_grace_is_given(kubectl: Kubectl, pods: Pods) -> None:
    """The handler of SIGTERM runs to its end; the pod goes when it is done, not when the grace is over."""
    script = "trap 'echo got TERM; sleep 2; echo done; exit 0' TERM; echo up; while :; do sleep 0.1; done"
    pods.run(pod("polite", container(command=script), terminationGracePeriodSeconds=30))
    with kubectl.start("logs", "-f", "polite") as follow:
        wait_until("it runs", lambda: "up" in follow.stdout, 10)
        start = time.monotonic()
        kubectl("delete", "pod", "polite", "--wait=false")
        deleting = pods.get("polite")
        assert deleting["metadata"]["deletionGracePeriodSeconds"] == 30
        pods.gone("polite", 25)
        took = time.monotonic() - start
        follow.wait(10)
        assert follow.stdout.splitlines() == ["up", "got TERM", "done"]
    assert 2 <= took < 12, f"{took:.1f} s"
    pods.wait_event("polite", "Normal", "Killing", "Stopping container main")


def test_grace_ends(kubectl: Kubectl, pods: Pods) -> None:
    """Who ignores SIGTERM gets SIGKILL after the grace period."""
    script = "trap '' TERM; while :; do sleep 0.2; done"
    pods.run(pod("deaf", container(command=script), terminationGracePeriodSeconds=4))
    start = time.monotonic()
    kubectl("delete", "pod", "deaf", "--wait=false")
    pods.gone("deaf", 30)
    took = time.monotonic() - start
    assert 4 <= took < 14, f"{took:.1f} s"


def test_status_while_terminating(kubectl: Kubectl, pods: Pods) -> None:
    """A finalizer holds the object back, so that its last status can be read."""
    held = pod("held", container(command="trap 'exit 3' TERM; while :; do sleep 0.1; done"))
    held["metadata"]["finalizers"] = ["farlet.dev/test"]
    pods.run(held)
    kubectl("delete", "pod", "held", "--wait=false")
    try:
        ended = pods.wait("held", "has ended", lambda each: state(each)[0] == "terminated")
        assert state(ended)[1]["exitCode"] == 3
        final = pods.wait("held", "is not ready", lambda each: condition(each, "Ready").get("status") == "False")
        assert pods.wait("held", "is Failed", lambda each: each["status"]["phase"] == "Failed") and final
    finally:
        kubectl("patch", "pod", "held", "--type=json", "-p", '[{"op":"remove","path":"/metadata/finalizers"}]')
    pods.gone("held", 30)


def test_force_delete(kubectl: Kubectl, pods: Pods) -> None:
    """Grace 0 removes the object at once, and the agent ends the containers all the same."""
    first = pods.run(pod("forced", container(command=FOREVER)))[0]
    kubectl("delete", "pod", "forced", "--grace-period=0", "--force")
    assert kubectl.find("pod", "forced") is None
    # The same name, another pod: they never meet.
    second = pods.run(pod("forced", container(command=FOREVER)))[0]
    assert first["metadata"]["uid"] != second["metadata"]["uid"]
    assert container_status(first)["containerID"] != container_status(second)["containerID"]


def test_delete_in_init_container(kubectl: Kubectl, pods: Pods) -> None:
    kubectl.create(pod("early", initContainers=[container("init", FOREVER)]))
    pods.wait("early", "is in its init container", lambda each: state(each, "init")[0] == "running")
    start = time.monotonic()
    kubectl("delete", "pod", "early", "--wait=false")
    pods.gone("early", 20)
    assert time.monotonic() - start < 12


def test_delete_before_it_starts(kubectl: Kubectl, pods: Pods) -> None:
    kubectl.create(*(pod(f"brief-{i}") for i in range(5)))
    kubectl("delete", "pods", "--all", "--wait=false")
    for i in range(5):
        pods.gone(f"brief-{i}", 40)


def test_delete_in_back_off(kubectl: Kubectl, pods: Pods) -> None:
    kubectl.create(pod("crash", container(command="exit 1")), pod("nothing", container(image="busybox:no-such-tag")))
    pods.wait("crash", "waits", lambda each: reason(each) == "CrashLoopBackOff")
    pods.wait("nothing", "waits", lambda each: reason(each) in ("ErrImagePull", "ImagePullBackOff"))
    kubectl("delete", "pods", "--all", "--wait=false")
    pods.gone("crash", 20)
    pods.gone("nothing", 20)


@pytest.fixture
def stuck(cluster: Cluster) -> Iterator[StuckRegistry]:
    with StuckRegistry(cluster) as registry:
        yield registry


@pytest.mark.farlet_only  # A kubelet goes on pulling, and pulls one image at a time.
def test_delete_while_pulling(kubectl: Kubectl, pods: Pods, stuck: StuckRegistry) -> None:
    """A pull that hangs holds up neither the deletion of its pod nor other pods."""
    kubectl.create(pod("pulling", container(image=stuck.image)))
    pods.wait_event("pulling", "Normal", "Pulling", f'Pulling image "{stuck.image}"')
    pods.wait("pulling", "says that it waits", lambda each: reason(each) == "ContainerCreating", 10)
    pods.run(pod("other"), timeout=30)
    kubectl("delete", "pod", "pulling", "--wait=false")
    pods.gone("pulling", 60)
