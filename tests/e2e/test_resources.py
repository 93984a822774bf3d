"""Limits are real, and running out of memory is told."""

from harness.kubectl import Kubectl
from harness.objects import FOREVER, container, pod
from harness.pods import Pods, container_status

# Version 2, or 1: the value as the container itself sees it.
MEMORY = "cat /sys/fs/cgroup/memory.max 2>/dev/null || cat /sys/fs/cgroup/memory/memory.limit_in_bytes"
QUOTA = (
    "cat /sys/fs/cgroup/cpu.max 2>/dev/null"
    " || echo $(cat /sys/fs/cgroup/cpu/cpu.cfs_quota_us) $(cat /sys/fs/cgroup/cpu/cpu.cfs_period_us)"
)
SHARES = "cat /sys/fs/cgroup/cpu.weight 2>/dev/null || cat /sys/fs/cgroup/cpu/cpu.shares"


def test_limits(kubectl: Kubectl, pods: Pods) -> None:
    resources = {"requests": {"cpu": "250m", "memory": "32Mi"}, "limits": {"cpu": "500m", "memory": "64Mi"}}
    created = pods.run(pod("limited", container(command=FOREVER, resources=resources)))[0]
    assert created["status"]["qosClass"] == "Burstable"
    assert pods.shell("limited", MEMORY).strip() == str(64 << 20)
    quota, period = map(int, pods.shell("limited", QUOTA).split())
    assert quota / period == 0.5
    assert pods.shell("limited", SHARES).strip() in ("256", "10"), "250 m of 1024 shares, or the weight for it"


def test_guaranteed(kubectl: Kubectl, pods: Pods) -> None:
    resources = {"limits": {"cpu": "100m", "memory": "48Mi"}}
    created = pods.run(pod("sure", container(command=FOREVER, resources=resources)))[0]
    assert created["status"]["qosClass"] == "Guaranteed"
    assert pods.shell("sure", MEMORY).strip() == str(48 << 20)
    assert pods.shell("sure", SHARES).strip() in ("102", "4")


def test_out_of_memory(kubectl: Kubectl, pods: Pods) -> None:
    limits = {"limits": {"memory": "24Mi"}}
    kubectl.create(pod("greedy", container(command=["tail", "/dev/zero"], resources=limits), restartPolicy="Never"))
    failed = pods.phase("greedy", "Failed")
    terminated = container_status(failed)["state"]["terminated"]
    assert (terminated["reason"], terminated["exitCode"]) == ("OOMKilled", 137)


def test_termination_message(kubectl: Kubectl, pods: Pods) -> None:
    kubectl.create(
        pod("said", container(command="echo -n last words >/dev/termination-log; exit 2"), restartPolicy="Never"),
        pod(
            "logged",
            container(command="echo from the log; exit 2", terminationMessagePolicy="FallbackToLogsOnError"),
            restartPolicy="Never",
        ),
    )
    assert container_status(pods.phase("said", "Failed"))["state"]["terminated"]["message"] == "last words"
    logged = container_status(pods.phase("logged", "Failed"))["state"]["terminated"]
    assert logged["message"].strip() == "from the log"
