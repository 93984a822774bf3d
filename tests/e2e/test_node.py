"""The Node object, its lease and its conditions."""

import os
import platform
import time
from datetime import datetime

from harness.cluster import Cluster
from harness.kubectl import Kubectl
from harness.pods import condition, is_ready
from harness.waiting import wait_until


def test_node_object(cluster: Cluster, kubectl: Kubectl) -> None:
    node = kubectl.get("node", cluster.node)
    labels = node["metadata"]["labels"]
    assert labels["kubernetes.io/hostname"] == cluster.node
    assert (labels["kubernetes.io/os"], labels["kubernetes.io/arch"]) == ("linux", "amd64")
    assert (labels["beta.kubernetes.io/os"], labels["beta.kubernetes.io/arch"]) == ("linux", "amd64")
    addresses = {each["type"]: each["address"] for each in node["status"]["addresses"]}
    assert addresses == {"InternalIP": cluster.cluster_ip, "Hostname": cluster.node}
    assert node["status"]["daemonEndpoints"]["kubeletEndpoint"]["Port"] == 10250
    assert node["spec"]["podCIDR"].startswith("10.244.")


def test_capacity(cluster: Cluster, kubectl: Kubectl) -> None:
    status = kubectl.get("node", cluster.node)["status"]
    for part in ("capacity", "allocatable"):
        assert {"cpu", "memory", "pods", "ephemeral-storage"} <= status[part].keys(), part
    assert status["capacity"]["cpu"] == str(os.cpu_count())
    assert status["capacity"]["pods"] == "110"
    with open("/proc/meminfo", encoding="ascii") as file:
        total = file.readline().split()[1]
    assert status["capacity"]["memory"] == f"{total}Ki"


def test_node_info(cluster: Cluster, kubectl: Kubectl) -> None:
    info = kubectl.get("node", cluster.node)["status"]["nodeInfo"]
    assert info["kernelVersion"] == platform.release()
    assert info["operatingSystem"] == "linux" and info["architecture"] == "amd64"
    assert info["containerRuntimeVersion"].startswith("containerd://")
    assert "Debian" in info["osImage"]
    with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
        assert info["bootID"] == file.read().strip()
    for name in ("machineID", "systemUUID", "kubeletVersion"):
        assert info[name], name


def test_conditions(cluster: Cluster, kubectl: Kubectl) -> None:
    node = kubectl.get("node", cluster.node)
    assert [each["type"] for each in node["status"]["conditions"]][-1] == "Ready"
    for kind, status, reason, message in (
        ("MemoryPressure", "False", "KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
        ("DiskPressure", "False", "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
        ("PIDPressure", "False", "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
        ("Ready", "True", "KubeletReady", "kubelet is posting ready status"),
    ):
        found = condition(node, kind)
        assert (found["status"], found["reason"]) == (status, reason)
        assert found["message"].startswith(message)


def test_images_are_listed(cluster: Cluster, kubectl: Kubectl) -> None:
    def names() -> list[str]:
        images = kubectl.get("node", cluster.node)["status"].get("images", [])
        return [name for image in images for name in image["names"]]

    wait_until("the pause image is listed", lambda: any("pause" in name for name in names()), 330, 2)


def test_lease_is_renewed(cluster: Cluster, kubectl: Kubectl) -> None:
    def renewed() -> datetime:
        return datetime.fromisoformat(lease.get("lease", cluster.node)["spec"]["renewTime"])

    lease = Kubectl(cluster, "kube-node-lease")
    spec = lease.get("lease", cluster.node)["spec"]
    assert spec["holderIdentity"] == cluster.node
    assert spec["leaseDurationSeconds"] == 40
    first = renewed()
    wait_until("it is renewed", lambda: renewed() > first, 20, 0.5)
    second = renewed()
    assert 8 <= (second - first).total_seconds() <= 13
    owner = lease.get("lease", cluster.node)["metadata"]["ownerReferences"][0]
    assert (owner["kind"], owner["uid"]) == ("Node", kubectl.get("node", cluster.node)["metadata"]["uid"])


def test_serving_certificate_is_signed(cluster: Cluster) -> None:
    """The API server verifies it; so does anybody with the cluster's authority."""
    url = f"https://{cluster.cluster_ip}:10250/healthz"

    def code() -> str:
        return cluster.in_network(
            "curl", "-sS", "--cacert", cluster.ca_file, "-m", "5", "-o", "/dev/null", "-w", "%{http_code}", url
        ).stdout

    wait_until("it verifies", lambda: code() == "401", 30, 1)


def test_status_is_not_patched_without_need(cluster: Cluster, kubectl: Kubectl) -> None:
    """On a quiet node the status is written every five minutes, not with each heartbeat."""
    wait_until("it is ready", lambda: is_ready(kubectl.get("node", cluster.node)), 30)
    beats = set()
    for _ in range(12):
        beats.add(condition(kubectl.get("node", cluster.node), "Ready")["lastHeartbeatTime"])
        time.sleep(2)
    assert len(beats) <= 3, beats
