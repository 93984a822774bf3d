"""Pods that this node cannot run: said by an event and in the status, and nobody else is harmed."""

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


def test_runtime_class_that_does_not_exist(cluster: Cluster, kubectl: Kubectl, pods: Pods) -> None:
    """A handler that containerd does not know: said by an event. farlet refuses every RuntimeClass so far."""
    name = kubectl.namespace
    kubectl.create(
        {
            "apiVersion": "node.k8s.io/v1",
            "kind": "RuntimeClass",
            "metadata": {"name": name},
            "handler": "no-such-handler",
        }
    )
    try:
        kubectl.create(pod("classy", runtimeClassName=name))
        if cluster.kind == "kubelet":
            pods.wait_event("classy", "Warning", "FailedCreatePodSandBox", "no-such-handler")
        else:
            pods.wait_event("classy", "Warning", "UnsupportedPodSpec", "runtimeClassName")
        kubectl("delete", "pod", "classy", "--wait=false")
        pods.gone("classy", 30)
    finally:
        kubectl("delete", "runtimeclass", name)
