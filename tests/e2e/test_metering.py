"""What Fargate pods cost: the ledger of a real agent, its metrics, and `farlet cost`, against the published formula."""

import json
import math
import re
import subprocess
import time
from datetime import datetime, timezone
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

import pytest

from harness.cluster import Cluster
from harness.kubectl import Kubectl
from harness.objects import container, pod
from harness.pods import Pods, is_ready
from harness.processes import Process
from harness.waiting import wait_until
from harness.webhook import PROFILE_LABEL

Json = dict[str, Any]
pytestmark = [pytest.mark.farlet_only, pytest.mark.timeout(300)]

PROFILE = "fp-metering"
# As admission makes it of a pod that requests little: these tests are about a node, and need no webhook.
FARGATE = {"labels": {PROFILE_LABEL: PROFILE}, "annotations": {"CapacityProvisioned": "0.25vCPU 0.5GB"}}


def job(script: str) -> Json:
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": "billed"},
        "spec": {
            "backoffLimit": 0,
            "template": {
                "metadata": FARGATE,
                "spec": {"restartPolicy": "Never", "containers": [container("main", command=script)]},
            },
        },
    }


def price(seconds: int) -> str:
    """seconds × (0.25 vCPU × 0.04048 + 0.5 GB × 0.004445) an hour, to ten decimals."""
    hourly = Decimal("0.25") * Decimal("0.04048") + Decimal("0.5") * Decimal("0.004445")
    return str((seconds * hourly / 3600).quantize(Decimal("1e-10"), ROUND_HALF_UP))


def farlet_cost(cluster: Cluster, *words: str, code: int = 0) -> tuple[str, str]:
    command = [f"{cluster.state}/bin/farlet", "cost", *words]
    env = {"KUBECONFIG": cluster.kubeconfig}
    done = subprocess.run(command, capture_output=True, text=True, env=env, timeout=60, check=False)
    assert done.returncode == code, done.stderr
    return done.stdout, done.stderr


def summary(cluster: Cluster, namespace: str) -> Json:
    return json.loads(farlet_cost(cluster, "--namespace", namespace, "--pods", "-o", "json")[0])


def counters(kubectl: Kubectl) -> dict[str, Decimal]:
    """The node's metrics of the test's namespace, by name."""
    text = kubectl("get", "--raw", f"/api/v1/nodes/{kubectl.cluster.node}/proxy/metrics")
    labels = f'namespace="{kubectl.namespace}",profile="{PROFILE}"'
    found = re.findall(rf"^(\w+)\{{{re.escape(labels)}\}} (\S+)$", text, re.MULTILINE)
    return {name.removeprefix("farlet_fargate_"): Decimal(value) for name, value in found}


def moment(text: str) -> Decimal:
    """Seconds since 1970 of an RFC 3339 time in UTC, with all its digits."""
    whole, _, fraction = text.rstrip("Z").partition(".")
    seconds = datetime.strptime(whole, "%Y-%m-%dT%H:%M:%S").replace(tzinfo=timezone.utc).timestamp()
    return Decimal(int(seconds)) + Decimal("0." + (fraction or "0"))


def ended(cluster: Cluster, namespace: str) -> Json:
    """The one pod of the namespace, once the ledger has its end."""

    def check() -> Json | None:
        pods = summary(cluster, namespace)["pods"]
        return pods[0] if len(pods) == 1 and "ended" in pods[0] else None

    found = wait_until("the ledger has the end", check, 60)
    assert found
    return found


def assert_exact(cluster: Cluster, kubectl: Kubectl) -> Json:
    """Report and metrics say what the formula says, and the ledger what Kubernetes says. Returns the pod's report."""
    billed = ended(cluster, kubectl.namespace)
    seconds = billed["billedSeconds"]
    assert seconds == max(60, math.ceil(moment(billed["ended"]) - moment(billed["began"])))
    assert billed["cost"] == price(seconds)
    report = summary(cluster, kubectl.namespace)
    assert report["complete"] and len(report["totals"]) == 1
    for total in (report["total"], report["totals"][0]):
        assert total["cost"] == price(seconds)
        assert Decimal(total["vcpuSeconds"]) == seconds * Decimal("0.25")
        assert Decimal(total["memoryGbSeconds"]) == seconds * Decimal("0.5")
        assert (total["storageGbSeconds"], total["ended"], total["running"]) == ("0", 1, 0)
    assert counters(kubectl) == {
        "vcpu_seconds_total": seconds * Decimal("0.25"),
        "memory_gb_seconds_total": seconds * Decimal("0.5"),
        "storage_gb_seconds_total": 0,
        "cost_total": Decimal(price(seconds)),
        "pods_ended_total": 1,
        "pods_running": 0,
    }
    made = kubectl.list("pods")[0]
    finished = made["status"]["containerStatuses"][0]["state"]["terminated"]["finishedAt"]
    assert int(moment(billed["ended"])) == moment(finished)
    return billed


def test_short_jobs_cost_a_minute(cluster: Cluster, kubectl: Kubectl) -> None:
    assert counters(kubectl) == {}
    kubectl.create(job("sleep 3"))
    kubectl("wait", "--for=condition=complete", "job/billed", "--timeout=60s", deadline=70)
    billed = assert_exact(cluster, kubectl)
    assert billed["billedSeconds"] == 60
    assert set(billed["startSeconds"]) >= {"scheduled", "sandbox", "pull", "start"}
    kubectl("delete", "job", "billed")
    wait_until("its pod is gone", lambda: not kubectl.list("pods"), 60)
    assert counters(kubectl)["cost_total"] == Decimal(price(60))


def test_running_pods_and_tables(cluster: Cluster, kubectl: Kubectl, pods: Pods) -> None:
    manifest = pod("web")
    manifest["metadata"] |= {"labels": FARGATE["labels"], "annotations": FARGATE["annotations"]}
    pods.run(manifest, pod("no-fargate"))
    report = summary(cluster, kubectl.namespace)
    assert [each["name"] for each in report["pods"]] == ["web"]
    assert (report["total"]["running"], report["total"]["ended"]) == (1, 0)
    assert "ended" not in report["pods"][0]
    assert set(report["pods"][0]["startSeconds"]) == {"scheduled", "sandbox", "pull", "start", "ready"}
    table, _ = farlet_cost(cluster, "--pods", "-n", kubectl.namespace, "--since", "1h")
    assert re.search(rf"^{kubectl.namespace} +web +{PROFILE} +{cluster.node} +0.25vCPU 0.5GB ", table, re.MULTILINE)
    assert re.search(rf"^{kubectl.namespace} +{PROFILE} +0 +1 +15 +30 +0 +{re.escape(price(60))}$", table, re.MULTILINE)
    assert "TOTAL" in table
    table, _ = farlet_cost(cluster, "-n", "no-such-namespace")
    assert re.search(r"^TOTAL +0 +0 +0 +0 +0 +0\.0+$", table, re.MULTILINE)


def test_mistakes_are_named(cluster: Cluster) -> None:
    assert 'farlet: --since: "soon" is neither a span' in farlet_cost(cluster, "--since", "soon", code=2)[1]
    assert 'namespace: "A" is no name' in farlet_cost(cluster, "-n", "A", code=2)[1]
    assert "/no/such/file" in farlet_cost(cluster, "--kubeconfig", "/no/such/file", code=2)[1]
    assert "--output: yaml not in" in farlet_cost(cluster, "-o", "yaml", code=2)[1]


@pytest.mark.faults  # Whoever sums up the nodes meanwhile misses one, too.
def test_silent_node_is_said(cluster: Cluster, kubectl: Kubectl) -> None:
    """A node that says it is farlet's, and has no address at which it could be asked."""
    name = f"silent-{kubectl.namespace[-4:]}"
    kubectl.create({"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}, "spec": {"unschedulable": True}})
    try:
        status = {"status": {"nodeInfo": {"kubeletVersion": "v1.37.2-farlet.0.0.0"}}}
        kubectl("patch", "node", name, "--subresource=status", "--type=merge", "-p", json.dumps(status))
        out, error = farlet_cost(cluster, "-o", "json", code=1)
        report = json.loads(out)
        assert f"node {name} has not answered and is missing in the sums" in error
        assert not report["complete"]
        nodes = {each["name"]: each.get("error", "") for each in report["nodes"]}
        assert nodes[cluster.node] == "" and nodes[name]
    finally:
        kubectl("delete", "node", name)


def test_who_may_ask(cluster: Cluster, kubectl: Kubectl) -> None:
    """/metrics is nodes/metrics, as with a kubelet; what a kubelet does not have is nodes/proxy."""

    def ask(account: str, path: str) -> str:
        token = kubectl("create", "token", account).strip()
        url = f"https://{cluster.cluster_ip}:10250{path}"
        words = ["curl", "-sS", "-k", "-m", "10", "-o", "/dev/null", "-w", "%{http_code}", url]
        done = subprocess.run([*words, "-H", f"Authorization: Bearer {token}"], capture_output=True, text=True, check=True)
        return done.stdout

    assert (ask("default", "/metrics"), ask("default", "/farlet/cost")) == ("403", "403")
    name = kubectl.namespace
    kubectl("create", "clusterrole", name, "--verb=get", "--resource=nodes/metrics")
    kubectl("create", "serviceaccount", "scraper")
    kubectl("create", "clusterrolebinding", name, f"--clusterrole={name}", f"--serviceaccount={name}:scraper")
    try:
        assert (ask("scraper", "/metrics"), ask("scraper", "/farlet/cost")) == ("200", "403")
    finally:
        kubectl("delete", f"clusterrole/{name}", f"clusterrolebinding/{name}")


@pytest.mark.faults
def test_restarts_change_nothing(cluster: Cluster, kubectl: Kubectl) -> None:
    """A Job of a minute and its start: the agent is killed while it runs, and again before it ends."""
    agent = Process(cluster, f"node-{cluster.node}")
    kubectl.create(job("sleep 60"))
    wait_until("it runs", lambda: kubectl.list("pods")[0]["status"]["phase"] == "Running", 60)
    started = time.monotonic()
    before = summary(cluster, kubectl.namespace)["pods"][0]
    time.sleep(15)
    agent.kill()
    time.sleep(10)
    agent.start()
    wait_until("the node is ready", lambda: is_ready(kubectl.get("node", cluster.node)), 60)
    wait_until("it answers", lambda: counters(kubectl)["pods_running"] == 1, 30)
    time.sleep(max(0.0, started + 50 - time.monotonic()))
    agent.kill()
    time.sleep(20)  # it ends meanwhile
    agent.start()
    kubectl("wait", "--for=condition=complete", "job/billed", "--timeout=60s", deadline=70)
    billed = assert_exact(cluster, kubectl)
    assert billed["began"] == before["began"]
    assert billed["startSeconds"] == before["startSeconds"] | billed["startSeconds"]
    assert 61 <= billed["billedSeconds"] < 66, "not until the agent was back"
    agent.kill()
    agent.start()
    wait_until("the node answers", lambda: counters(kubectl), 30)
    assert assert_exact(cluster, kubectl) == billed
