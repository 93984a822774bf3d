"""Pods that this node cannot run: said by an event and in the status, and nobody else is harmed."""

from collections.abc import Callable, Iterator

import pytest

from harness.cluster import Cluster
from harness.kubectl import Kubectl
from harness.objects import FOREVER, container, pod
from harness.pods import Pods


@pytest.mark.farlet_only
@pytest.mark.parametrize(
    "volume, word",
    [
        ({"hostPath": {"path": "/etc"}}, "hostPath"),
        ({"nfs": {"server": "10.0.0.1", "path": "/"}}, "nfs"),
        ({"csi": {"driver": "example.com"}}, "csi"),
    ],
    ids=["hostPath", "nfs", "csi"],
)
def test_volume_kinds(kubectl: Kubectl, pods: Pods, volume: dict, word: str) -> None:
    mounts = [{"name": "v", "mountPath": "/v"}]
    kubectl.create(pod("odd", container(command=FOREVER, volumeMounts=mounts), volumes=[{"name": "v", **volume}]))
    told = pods.wait(
        "odd",
        "is refused or waits",
        lambda each: each["status"]["phase"] == "Failed" or each["status"].get("containerStatuses"),
        30,
    )
    assert told["status"]["phase"] in ("Failed", "Pending")
    events = [event for event in pods.events("odd") if event["type"] == "Warning"]
    assert any(word.lower() in event["message"].lower() for event in events), events
    kubectl("delete", "pod", "odd", "--wait=false")
    pods.gone("odd", 30)


@pytest.mark.farlet_only
def test_too_many_requests(cluster: Cluster, kubectl: Kubectl, pods: Pods) -> None:
    """A pod bound past the scheduler that does not fit the node is refused, as a kubelet does."""
    huge = pod("huge", container(command=FOREVER, resources={"requests": {"cpu": "1000"}}), nodeName=cluster.node)
    kubectl.create(huge)
    failed = pods.phase("huge", "Failed", 30)
    assert failed["status"]["reason"] == "OutOfcpu"
    pods.wait_event("huge", "Warning", "OutOfcpu", "cpu")


@pytest.fixture
def runtime_class(kubectl: Kubectl) -> Iterator[Callable[[str], str]]:
    """Makes a RuntimeClass with the given handler; its name."""
    name = kubectl.namespace

    def make(handler: str) -> str:
        kubectl.create(
            {"apiVersion": "node.k8s.io/v1", "kind": "RuntimeClass", "metadata": {"name": name}, "handler": handler}
        )
        return name

    yield make
    kubectl("delete", "runtimeclass", name, "--ignore-not-found")


def test_runtime_class_chooses_the_handler(pods: Pods, runtime_class: Callable[[str], str]) -> None:
    pods.run(pod("classy", runtimeClassName=runtime_class("runc")))


def test_runtime_class_with_an_unknown_handler(
    kubectl: Kubectl, pods: Pods, runtime_class: Callable[[str], str]
) -> None:
    kubectl.create(pod("classy", runtimeClassName=runtime_class("no-such-handler")))
    pods.wait_event("classy", "Warning", "FailedCreatePodSandBox", "no-such-handler")
    kubectl("delete", "pod", "classy", "--wait=false")
    pods.gone("classy", 30)
