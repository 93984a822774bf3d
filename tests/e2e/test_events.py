"""The events of a pod's life, in the kubelet's words."""

from harness.cluster import Cluster
from harness.kubectl import Kubectl
from harness.objects import FOREVER, container, pod
from harness.pods import Pods
from harness.waiting import wait_until


def test_life_of_a_pod(cluster: Cluster, kubectl: Kubectl, pods: Pods) -> None:
    created = pods.run(pod("life", initContainers=[container("setup", "true")]))[0]
    kubectl("delete", "pod", "life", "--wait=false")
    pods.gone("life", 30)
    wait_until("all is told", lambda: any(event["reason"] == "Killing" for event in pods.events("life")))
    told = [(event["type"], event["reason"], event["involvedObject"].get("fieldPath")) for event in pods.events("life")]
    for expected in (
        ("Normal", "Pulled", "spec.initContainers{setup}"),
        ("Normal", "Created", "spec.initContainers{setup}"),
        ("Normal", "Started", "spec.initContainers{setup}"),
        ("Normal", "Pulled", "spec.containers{main}"),
        ("Normal", "Created", "spec.containers{main}"),
        ("Normal", "Started", "spec.containers{main}"),
        ("Normal", "Killing", "spec.containers{main}"),
    ):
        assert told.count(expected) == 1, f"{expected}: {told}"
    assert len(told) == 7, told
    words = {event["reason"]: event["message"] for event in pods.events("life")}
    assert words["Created"] == "Container created"
    assert words["Started"] == "Container started"
    assert words["Killing"] == "Stopping container main"
    for event in pods.events("life"):
        assert event["source"] == {"component": "kubelet", "host": cluster.node}
        assert event["involvedObject"]["uid"] == created["metadata"]["uid"]


def test_equal_events_are_counted(kubectl: Kubectl, pods: Pods) -> None:
    kubectl.create(pod("crash", container(command="exit 1")))

    def counted() -> bool:
        started = [event for event in pods.events("crash") if event["reason"] == "Started"]
        return len(started) == 1 and started[0]["count"] >= 3

    wait_until("three starts are one event", counted, 60, 1)


def test_unready_probe_events_do_not_flood(kubectl: Kubectl, pods: Pods) -> None:
    probe = {"exec": {"command": ["false"]}, "periodSeconds": 1}
    kubectl.create(pod("unready", container(command=FOREVER, readinessProbe=probe)))

    def counted() -> bool:
        unhealthy = [event for event in pods.events("unready") if event["reason"] == "Unhealthy"]
        return len(unhealthy) == 1 and unhealthy[0]["count"] >= 4

    wait_until("the failures are one event", counted, 60, 1)
