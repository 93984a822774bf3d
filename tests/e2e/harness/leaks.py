"""What a node holds against what its API server knows: nothing lost, nothing doubled, nothing left."""

import json
from pathlib import Path
from typing import Any

from .cluster import Cluster
from .cri import Cri
from .kubectl import Kubectl
from .waiting import wait_until

POD_UID = "io.kubernetes.pod.uid"


def pods_of_node(kubectl: Kubectl, node: str) -> dict[str, Any]:
    """By UID."""
    words = ["get", "pods", "-A", "-o", "json", f"--field-selector=spec.nodeName={node}"]
    return {pod["metadata"]["uid"]: pod for pod in json.loads(kubectl(*words))["items"]}


def differences(cluster: Cluster, kubectl: Kubectl, cri: Cri, foreign: set[str]) -> list[str]:
    """One line for each thing that does not fit; `foreign` are sandboxes that somebody else has made."""
    found: list[str] = []
    pods = pods_of_node(kubectl, cluster.node)
    ready: dict[str, int] = {}
    for sandbox in cri.sandboxes():
        if sandbox.id in foreign:
            continue
        uid = sandbox.labels.get(POD_UID, sandbox.metadata.uid)
        if uid not in pods:
            found.append(f"sandbox {sandbox.id[:12]} of pod {sandbox.metadata.name} that does not exist")
        if sandbox.state == Cri.READY:
            ready[uid] = ready.get(uid, 0) + 1
    found += [f"pod {uid} has {count} ready sandboxes" for uid, count in ready.items() if count > 1]
    for uid, pod in pods.items():
        if pod["status"].get("phase") == "Running" and uid not in ready:
            found.append(f"pod {pod['metadata']['name']} is Running without a sandbox")
    running: dict[tuple[str, str], int] = {}
    for container in cri.containers():
        if container.pod_sandbox_id in foreign:
            continue
        uid = container.labels.get(POD_UID, "")
        if uid not in pods:
            found.append(f"container {container.metadata.name} of pod {uid} that does not exist")
        elif container.state == Cri.RUNNING:
            key = (uid, container.metadata.name)
            running[key] = running.get(key, 0) + 1
    found += [f"container {key} runs {count} times" for key, count in running.items() if count > 1]
    return found + files_left(cluster, set(pods))


def files_left(cluster: Cluster, uids: set[str]) -> list[str]:
    """Folders, control groups and mounts of pods that are gone."""
    node = Path(cluster.state) / "nodes" / cluster.node
    found = [str(each) for each in (node / "root" / "pods").glob("*") if each.name not in uids]
    found += [str(each) for each in (node / "pods-log").glob("*") if each.name.rsplit("_", 1)[-1] not in uids]
    group = f"farlet-{cluster.name}-{cluster.node}"
    for each in Path("/sys/fs/cgroup").glob(f"*/{group}/**/*pod*"):
        uid = each.name.removesuffix(".slice").rpartition("pod")[2].replace("_", "-")
        if len(uid) == 36 and uid not in uids:
            found.append(f"cgroup {each}")
    return found


def assert_clean(
    cluster: Cluster, kubectl: Kubectl, cri: Cri, foreign: set[str] | None = None, timeout: float = 90
) -> None:
    """Waits until node and API server agree."""

    def agree() -> bool:
        left = differences(cluster, kubectl, cri, foreign or set())
        assert not left, left
        return True

    wait_until("node and API server agree", agree, timeout, 1)
