"""The Helm chart as `deploy/local/up` installs it: what it refuses, what it makes, and a Fargate pod on top of it."""

import json
import platform
import secrets
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from harness.cluster import REPOSITORY, Cluster
from harness.kubectl import Kubectl
from harness.objects import FOREVER, NGINX, container, deployment, fargate_profile, pod
from harness.pods import Pods
from harness.waiting import wait_until
from harness.webhook import COMPUTE_TYPE, PROFILE_LABEL

Json = dict[str, Any]
pytestmark = [pytest.mark.chart, pytest.mark.farlet_only, pytest.mark.timeout(300)]
CHART = str(REPOSITORY / "deploy" / "helm" / "farlet")
SAMPLES = str(REPOSITORY / "tests" / "data" / "fargate" / "samples.yaml")
RELEASE_NAMESPACE = "farlet-system"
GIB = 1 << 30


def helm(cluster: Cluster, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    words = [cluster.env["HELM"], "--kubeconfig", cluster.kubeconfig, *arguments]
    done = subprocess.run(words, capture_output=True, text=True, timeout=120, stdin=subprocess.DEVNULL)
    assert not check or done.returncode == 0, f"{' '.join(arguments)}: {done.stdout[-1000:]}{done.stderr[-1000:]}"
    return done


def test_lint(cluster: Cluster) -> None:
    assert "0 chart(s) failed" in helm(cluster, "lint", "--strict", CHART).stdout


@pytest.mark.parametrize(
    ("setting", "complaint"),
    [
        ("webhook.failurePolicy=Maybe", "/webhook/failurePolicy"),
        ("webhook.replicas=0", "/webhook/replicas"),
        ("webhook.validation=off", "/webhook/validation"),
        ("node.port=99999", "/node/port"),
        ("prefix=a/b", "/prefix"),
        ("runtimeClass.bogus=1", "'bogus' not allowed"),
        ("profiles[0].name=X", "/profiles/0"),
        ("webook.enabled=true", "'webook' not allowed"),
    ],
)
def test_refused_values_are_named(cluster: Cluster, setting: str, complaint: str) -> None:
    done = helm(cluster, "template", "x", CHART, "--set", setting, check=False)
    assert done.returncode != 0
    assert complaint in done.stderr


@pytest.mark.parametrize(
    "settings",
    [
        (),
        ("node.enabled=false", "webhook.url=https://10.0.0.1/mutate"),
        ("webhook.enabled=false", "crd.create=false", "runtimeClass.create=false"),
        ("webhook.failurePolicy=Fail", "webhook.replicas=1", "prefix=example.com"),
    ],
    ids=["defaults", "webhook elsewhere", "node only", "changed"],
)
def test_the_api_server_takes_what_it_renders(cluster: Cluster, settings: tuple[str, ...]) -> None:
    words = [word for setting in settings for word in ("--set", setting)]
    rendered = helm(cluster, "template", "other", CHART, *words).stdout
    # Into the namespaces that it names itself.
    words = [cluster.kubectl_binary, "--kubeconfig", cluster.kubeconfig, "apply", "--dry-run=server", "-f", "-"]
    done = subprocess.run(words, input=rendered, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    made = done.stdout.splitlines()
    assert all(line.endswith("(server dry run)") for line in made), made
    assert len(made) > 5


@contextmanager
def profiled(cluster: Cluster, name: str, selector: Json) -> Iterator[str]:
    kubectl = Kubectl(cluster)
    kubectl.apply(fargate_profile(name, selector))
    try:
        yield name
    finally:
        kubectl("delete", "fargateprofile", name)


@pytest.fixture
def profile(cluster: Cluster, namespace: str) -> Iterator[str]:
    """One for the test's namespace."""
    with profiled(cluster, f"fp-{namespace}", {"namespace": namespace}) as name:
        yield name


def test_the_release(cluster: Cluster) -> None:
    releases = json.loads(helm(cluster, "list", "--all-namespaces", "-o", "json").stdout)
    assert [(each["name"], each["status"]) for each in releases] == [("farlet", "deployed")]
    kubectl = Kubectl(cluster)
    for kind in ("mutatingwebhookconfiguration", "runtimeclass"):
        made = kubectl.get(kind, "farlet")
        assert made["metadata"]["labels"]["app.kubernetes.io/managed-by"] == "Helm"
    assert kubectl.get("runtimeclass", "farlet")["scheduling"]["nodeSelector"] == {COMPUTE_TYPE: "fargate"}


def test_the_node_checks_what_came_past_the_webhook(cluster: Cluster) -> None:
    """The release's own namespace is one that the webhook is never asked about."""
    kubectl = Kubectl(cluster, RELEASE_NAMESPACE)
    greedy = container("c", FOREVER, securityContext={"capabilities": {"add": ["NET_ADMIN"]}})
    seen: Json = {}

    def judged(name: str) -> bool:
        seen.update(kubectl.get("pod", name))
        return seen["status"].get("phase", "Pending") != "Pending"

    def failed() -> bool:
        """A pod of its own each time: one that runs stays, whatever becomes of profiles."""
        name = f"past-{secrets.token_hex(3)}"
        kubectl.create(pod(name, greedy, labels={"app": "past"}, nodeName=cluster.node))
        try:
            wait_until(f"the node has judged {name}", lambda: judged(name), 60, 0.2)
            events = kubectl.list("events") if seen["status"]["phase"] == "Failed" else []
            seen["told"] = [each["message"] for each in events if each["involvedObject"]["name"] == name]
            return seen["status"]["phase"] == "Failed"
        finally:
            kubectl("delete", "pod", name, "--wait=true", deadline=60)

    with profiled(cluster, "fp-past", {"namespace": RELEASE_NAMESPACE, "labels": {"app": "past"}}):
        # A node that ran before the chart came finds its CRD within its back-off.
        wait_until("the node refuses such pods", failed, 120, 0.5)
    message = "Pod not supported on Fargate: invalid SecurityContext fields: Capabilities added: NET_ADMIN"
    assert seen["status"]["reason"] == "UnsupportedPodSpec"
    assert seen["status"]["message"] == f"Pod was rejected: {message}"
    assert "running" not in json.dumps(seen["status"].get("containerStatuses", []))
    assert message in seen["told"]


def probed(kubectl: Kubectl) -> str | None:
    """The profile that a pod would run under which is made now."""
    words = ["run", "probe", "--image=x", "--restart=Never", "--dry-run=server", "-o", "json"]
    return json.loads(kubectl(*words))["metadata"].get("labels", {}).get(PROFILE_LABEL)


def test_fargate_pods_run_in_machines(cluster: Cluster, profile: str, kubectl: Kubectl, pods: Pods) -> None:
    """From the profile by the chart's webhook to a microVM of the size that the pod is shown as."""
    web = container("web", image=NGINX, resources={"requests": {"cpu": "250m", "memory": "300Mi"}})
    shell = container("shell", FOREVER, resources={"requests": {"ephemeral-storage": "30Gi"}})

    wait_until("the webhook knows the profile", lambda: profile == probed(kubectl), 30, 0.5)
    kubectl.create(deployment("web", 1, web, shell))
    kubectl("rollout", "status", "deployment/web", "--timeout=150s", deadline=160)
    made = kubectl.list("pods", "app=web")[0]
    name = made["metadata"]["name"]
    assert made["metadata"]["annotations"]["CapacityProvisioned"] == "0.25vCPU 1GB"
    assert made["spec"]["runtimeClassName"] == "farlet"
    assert made["spec"]["overhead"] == {"memory": "256Mi"}
    inside = ["exec", name, "-c", "shell", "--", "sh", "-c"]
    assert kubectl(*inside, "uname -r").strip() != platform.release()
    memory = int(kubectl(*inside, "awk '/MemTotal/ {print $2}' /proc/meminfo")) * 1024
    assert GIB <= memory <= 2.5 * GIB
    disk = int(kubectl(*inside, "df -k / | awk 'END {print $2}'")) * 1024
    assert 28 * GIB <= disk <= 30 * GIB


@contextmanager
def tainted(cluster: Cluster) -> Iterator[None]:
    """The node as EKS's Fargate nodes are: for nothing else."""
    kubectl = Kubectl(cluster)
    taint = f"{COMPUTE_TYPE}=fargate:NoSchedule"
    kubectl("taint", "node", cluster.node, taint, "--overwrite")
    try:
        yield
    finally:
        kubectl("taint", "node", cluster.node, f"{taint}-")


@contextmanager
def another_namespace(cluster: Cluster, name: str) -> Iterator[Kubectl]:
    kubectl = Kubectl(cluster, name)
    kubectl("create", "namespace", name)
    try:
        wait_until("its default account exists", lambda: kubectl.find("serviceaccount", "default"), 60)
        yield kubectl
    finally:
        kubectl("delete", "namespace", name, "--wait=false")


def why_pending(each: Json) -> str:
    conditions = each["status"].get("conditions", [])
    return next((one.get("message", "") for one in conditions if one["type"] == "PodScheduled"), "")


def test_samples_run_where_a_profile_says_so(cluster: Cluster, profile: str, kubectl: Kubectl, namespace: str) -> None:
    """One file, unchanged, in two namespaces."""
    with tainted(cluster), another_namespace(cluster, f"{namespace}-other") as other:
        wait_until("the webhook knows the profile", lambda: profile == probed(kubectl), 30, 0.5)
        for each in (kubectl, other):
            each("apply", "-f", SAMPLES)
        for workload in ("web", "api"):
            kubectl("rollout", "status", f"deployment/{workload}", "--timeout=180s", deadline=190)
        kubectl("wait", "--for=condition=complete", "job/batch", "--timeout=120s", deadline=130)
        sizes = {"web": "0.25vCPU 0.5GB", "api": "0.25vCPU 0.5GB", "batch": "0.5vCPU 1GB"}
        made = kubectl.list("pods")
        assert len(made) == 6
        for each in made:
            workload = each["metadata"]["name"].split("-")[0]
            assert each["spec"]["nodeName"] == cluster.node
            assert each["metadata"]["labels"][PROFILE_LABEL] == profile
            assert each["metadata"]["annotations"]["CapacityProvisioned"] == sizes[workload]
        logs = wait_until("the API prints its secret", lambda: kubectl("logs", "deployment/api"), 30)
        assert logs == "connecting to postgres://database/app\n"
        assert kubectl("logs", "job/batch") == "working\ndone\n"
        left = other.list("pods")
        assert len(left) == 6
        for each in left:
            assert PROFILE_LABEL not in each["metadata"]["labels"]
            assert (each["status"]["phase"], each["spec"].get("nodeName")) == ("Pending", None)
            assert "untolerated taint" in why_pending(each)
