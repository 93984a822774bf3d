"""Fargate profiles through a real API server: admission, sizes, refusals, waiting pods, rotation, outages."""

import json
import secrets
import subprocess
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from harness.cluster import Cluster
from harness.kubectl import Kubectl
from harness.objects import BUSYBOX, FOREVER, NGINX, container, deployment, pod, secret
from harness.pods import Pods, is_ready
from harness.waiting import stays, wait_until
from harness.webhook import COMPUTE_TYPE, LABEL, PROFILE_LABEL, Webhook

Json = dict[str, Any]
pytestmark = pytest.mark.farlet_only

# The samples of a widely read guide to Fargate: requests and limits differ.
WEB = container(
    "web",
    image=NGINX,
    ports=[{"containerPort": 80}],
    resources={"requests": {"cpu": "250m", "memory": "256Mi"}, "limits": {"cpu": "500m", "memory": "512Mi"}},
)
API = container(
    "api",
    command="echo $PASSWORD; " + FOREVER[-1],
    env=[{"name": "PASSWORD", "valueFrom": {"secretKeyRef": {"name": "db", "key": "password"}}}],
    resources={"requests": {"cpu": "100m", "memory": "128Mi"}, "limits": {"cpu": "200m", "memory": "256Mi"}},
)


def job(name: str, script: str, **requests: str) -> Json:
    worker = container("batch", command=script, image=BUSYBOX, resources={"requests": requests})
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name},
        "spec": {"backoffLimit": 3, "template": {"spec": {"restartPolicy": "Never", "containers": [worker]}}},
    }


@pytest.fixture(scope="module")
def webhook(cluster: Cluster) -> Iterator[Webhook]:
    made = Webhook(cluster, f"fargate-{secrets.token_hex(2)}")
    kubectl = made.kubectl
    try:
        made.install()
        made.add_replica().ready()
        made.trusted()
        kubectl("label", "node", cluster.node, f"{COMPUTE_TYPE}=fargate", "--overwrite")
        yield made
    finally:
        made.remove()  # the node keeps its label: others may run pods by it


@pytest.fixture
def asked(webhook: Webhook, kubectl: Kubectl) -> Iterator[str]:
    """The test's namespace, about whose pods the webhook is asked. Its profiles are gone afterwards."""
    kubectl("label", "namespace", kubectl.namespace, f"{LABEL}={webhook.name}")
    yield kubectl.namespace
    webhook.remove_profiles()


def on_fargate(thing: Json) -> str:
    """The profile's name, empty for a pod that is none of Fargate's."""
    return thing["metadata"].get("labels", {}).get(PROFILE_LABEL, "")


def capacity(thing: Json) -> str:
    return thing["metadata"].get("annotations", {}).get("CapacityProvisioned", "")


def dry_run(kubectl: Kubectl, manifest: Json) -> subprocess.CompletedProcess[str]:
    return kubectl.run("create", "--dry-run=server", "-o", "json", "-f", "-", stdin=json.dumps(manifest), check=False)


def made(kubectl: Kubectl, manifest: Json) -> Json:
    done = dry_run(kubectl, manifest)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_samples_run_unchanged(cluster: Cluster, webhook: Webhook, asked: str, kubectl: Kubectl, pods: Pods) -> None:
    webhook.profile("fp-samples", {"namespace": asked})
    kubectl.create(secret("db", {"password": "s3cret"}))
    kubectl.create(deployment("web", 2, WEB), deployment("api", 1, API), job("batch", "echo done", cpu="250m", memory="256Mi"))
    kubectl("rollout", "status", "deployment/web", "--timeout=90s", deadline=100)
    kubectl("rollout", "status", "deployment/api", "--timeout=90s", deadline=100)
    kubectl("wait", "--for=condition=complete", "job/batch", "--timeout=90s", deadline=100)
    every = kubectl.list("pods")
    assert {each["spec"]["nodeName"] for each in every} == {cluster.node}
    assert {on_fargate(each) for each in every} == {"fp-samples"}
    assert {capacity(each) for each in every} == {"0.25vCPU 0.5GB"}
    web = kubectl.list("pods", "app=web")[0]
    assert is_ready(web)
    assert web["status"]["qosClass"] == "Burstable"
    assert web["spec"]["runtimeClassName"] == webhook.name
    assert web["spec"]["overhead"] == {"memory": "256Mi"}
    assert web["spec"]["containers"][0]["resources"]["limits"]["cpu"] == "500m"
    wait_until("the API prints its secret", lambda: "s3cret" in kubectl("logs", "deployment/api"), 20)

    def counted() -> bool:
        status = kubectl.get("fargateprofile", "fp-samples")["status"]
        assert status["status"] == "ACTIVE" and status["observedGeneration"] == 1, status
        return status["pods"] == {"matched": 4, "running": 3, "pending": 0}

    wait_until("the profile's status counts them", counted, 20)


def test_others_are_left_alone(webhook: Webhook, asked: str, kubectl: Kubectl) -> None:
    webhook.profile("fp-other", {"namespace": asked, "labels": {"app": "fargate*"}})
    assert on_fargate(made(kubectl, pod("yes", labels={"app": "fargate-1"}))) == "fp-other"
    plain = made(kubectl, pod("no", labels={"app": "other"}))
    assert on_fargate(plain) == "" and capacity(plain) == "" and "nodeSelector" not in plain["spec"]
    opted_out = pod("out", labels={"app": "fargate"})
    opted_out["metadata"]["annotations"] = {COMPUTE_TYPE: "ec2"}
    assert on_fargate(made(kubectl, opted_out)) == ""


def test_order_and_force(webhook: Webhook, asked: str, kubectl: Kubectl) -> None:
    webhook.profile("prod-workload", {"namespace": asked})
    webhook.profile("beta-workload", {"namespace": f"{asked[:-2]}*"})
    assert on_fargate(made(kubectl, pod("first"))) == "beta-workload"
    assert on_fargate(made(kubectl, pod("forced", labels={PROFILE_LABEL: "prod-workload"}))) == "prod-workload"
    told = dry_run(kubectl, pod("wrong", labels={PROFILE_LABEL: "nobody"}))
    assert 'asks for profile "nobody", which does not exist' in told.stderr


def test_refusal_shows_every_reason(webhook: Webhook, asked: str, kubectl: Kubectl) -> None:
    webhook.profile("fp-strict", {"namespace": asked})
    bad = container("c", securityContext={"privileged": True}, ports=[{"containerPort": 80, "hostPort": 80}])
    manifest = pod("bad", bad, hostNetwork=True, volumes=[{"name": "v", "hostPath": {"path": "/"}}])
    refused = dry_run(kubectl, manifest)
    assert refused.returncode != 0
    expected = (
        "denied the request: Pod not supported on Fargate: fields not supported: HostNetwork, invalid SecurityContext "
        "fields: Privileged, port contains HostIP or HostPort, volumes not supported: v is of an unsupported volume Type"
    )
    assert expected in refused.stderr
    huge = dry_run(kubectl, pod("huge", container("c", resources={"requests": {"cpu": "17"}})))
    assert "Your pod's cpu/memory requirements exceed the max Fargate configuration" in huge.stderr
    webhook.profile("fp-strict", {"namespace": asked}, validation="Warn")
    warned = dry_run(kubectl, manifest)
    assert warned.returncode == 0 and "Warning: Pod not supported on Fargate" in warned.stderr
    webhook.profile("fp-strict", {"namespace": asked}, allow={"capabilities": ["NET_ADMIN"], "ulimits": ["nofile"]})
    allowed = pod("allowed", container("c", securityContext={"capabilities": {"add": ["NET_ADMIN"]}}))
    allowed["metadata"]["annotations"] = {"farlet.dev/ulimits": "nofile=65535"}
    assert on_fargate(made(kubectl, allowed)) == "fp-strict"
    allowed["metadata"]["annotations"] = {"farlet.dev/ulimits": "nofile=65535,memlock=unlimited"}
    assert "Pod not supported on Fargate: ulimits not supported: memlock" in dry_run(kubectl, allowed).stderr


def waits(kubectl: Kubectl, pods: Pods, name: str) -> str:
    """A Deployment's pod that no node takes: its uid."""
    kubectl.create(deployment(name, 1, nodeSelector={"no-such-node": "x"}))
    made = wait_until("its pod is made", lambda: kubectl.list("pods", f"app={name}"), 30)[0]["metadata"]
    pods.wait(made["name"], "is unschedulable", is_unschedulable)
    return str(made["uid"])


def is_unschedulable(each: Json) -> bool:
    return any(one.get("reason") == "Unschedulable" for one in each["status"].get("conditions", []))


def wait_routed(kubectl: Kubectl, name: str, before: str, profile: str) -> None:
    def routed() -> bool:
        found = kubectl.list("pods", f"app={name}")
        return [on_fargate(each) for each in found if each["metadata"]["uid"] != before] == [profile]

    wait_until("the Deployment's pod is made anew on Fargate", routed, 30)


def test_profile_after_the_pod(webhook: Webhook, asked: str, kubectl: Kubectl, pods: Pods) -> None:
    """What waits is made anew on Fargate by its controller; what has none is told."""
    kubectl.create(pod("bare", nodeSelector={"no-such-node": "x"}))
    before = waits(kubectl, pods, "late")
    pods.wait("bare", "is unschedulable", is_unschedulable)
    webhook.profile("fp-late", {"namespace": asked})
    wait_routed(kubectl, "late", before, "fp-late")

    def told() -> bool:
        events = [each["message"] for each in kubectl.list("events") if each["involvedObject"]["name"] == "bare"]
        return any('Fargate profile "fp-late" matches this pod now' in message for message in events)

    wait_until("the bare pod's event says what to do", told, 30)
    assert kubectl.find("pod", "bare") is not None


def test_edited_profile(webhook: Webhook, asked: str, kubectl: Kubectl, pods: Pods) -> None:
    """It decides about pods to come, and about one that waits already."""
    webhook.profile("fp-edit", {"namespace": "elsewhere"})
    assert on_fargate(made(kubectl, pod("p"))) == ""
    before = waits(kubectl, pods, "early")
    webhook.profile("fp-edit", {"namespace": asked})
    assert on_fargate(made(kubectl, pod("p"))) == "fp-edit"
    wait_routed(kubectl, "early", before, "fp-edit")


def test_crd_refuses_what_eksctl_refuses(webhook: Webhook, kubectl: Kubectl) -> None:
    def apply(name: str, selectors: list[Json]) -> str:
        manifest = {"apiVersion": "farlet.dev/v1alpha1", "kind": "FargateProfile", "metadata": {"name": name}}
        return dry_run(kubectl, manifest | {"spec": {"selectors": selectors}}).stderr

    assert 'invalid Fargate profile "eks-x": name should NOT start with "eks-"' in apply("eks-x", [{"namespace": "x"}])
    assert 'invalid Fargate profile "x": no profile selector' in apply("x", [])
    assert "namespace" in apply("x", [{"labels": {"a": "b"}}])
    assert "lower-case letters" in apply("x", [{"namespace": "Dev"}])
    assert "keys and values may have" in apply("x", [{"namespace": "d", "labels": {"a b": "c"}}])
    assert apply("x", [{"namespace": "d*?", "labels": {"example.org/a_*": "V.?"}}]) == ""


def test_command_line(cluster: Cluster, webhook: Webhook, asked: str, kubectl: Kubectl, tmp_path: Any) -> None:
    def farlet(*words: str, code: int = 0) -> str:
        command = [f"{cluster.state}/bin/farlet", "profile", *words]
        done = subprocess.run(command, capture_output=True, text=True, env={"KUBECONFIG": cluster.kubeconfig}, timeout=30)
        assert done.returncode == code, done.stderr
        return done.stdout + done.stderr

    file = tmp_path / "cluster.yaml"
    head = "apiVersion: eksctl.io/v1alpha5\nkind: ClusterConfig\nmetadata: {name: c, region: r}\nfargateProfiles:\n"
    file.write_text(f"{head}- name: fp-cli\n  selectors:\n  - namespace: {asked}\n    labels: {{app: web}}\n  tags: {{a: b}}\n")
    assert "fargateprofile.farlet.dev/fp-cli created" in farlet("apply", "-f", str(file))
    assert "fp-cli: without effect: tags" in farlet("apply", "-f", str(file))
    table = farlet("get")
    assert table.split()[:7] == [
        "NAME", "SELECTOR_NAMESPACE", "SELECTOR_LABELS", "POD_EXECUTION_ROLE_ARN", "SUBNETS", "TAGS", "STATUS",
    ]  # fmt: skip
    assert "app=web" in table
    manifest = tmp_path / "pod.yaml"
    manifest.write_text("kind: Pod\nmetadata: {name: p, labels: {app: web}}\nspec: {containers: [{name: c}]}\n")
    assert 'runs on Fargate, profile "fp-cli"' in farlet("explain", str(manifest), "-n", asked)
    manifest.write_text(
        "kind: Pod\nmetadata: {name: p, labels: {app: web}}\nspec: {hostPID: true, containers: [{name: c}]}\n"
    )
    assert "fields not supported: HostPID" in farlet("explain", str(manifest), "-n", asked, code=1)
    file.write_text(f"{head}- name: fp-cli\n  selectors: []\n")
    assert 'line 5: fargateProfiles[0]: invalid Fargate profile "fp-cli": no profile selector' in farlet(
        "apply", "-f", str(file), code=2
    )
    assert "fp-cli deleted" in farlet("delete", "fp-cli")
    assert kubectl.find("fargateprofile", "fp-cli") is None


@pytest.mark.faults
def test_outage(webhook: Webhook, asked: str, kubectl: Kubectl) -> None:
    """failurePolicy decides what becomes of pods while no replica answers."""
    webhook.profile("fp-outage", {"namespace": asked})
    replica = webhook.replicas[0]
    replica.stop()
    try:
        refused = dry_run(kubectl, pod("p"))
        assert refused.returncode != 0 and "failed calling webhook" in refused.stderr
        webhook.configure("Ignore")
        wait_until("pods come past it", lambda: dry_run(kubectl, pod("p")).returncode == 0, 20)
        assert on_fargate(made(kubectl, pod("p"))) == ""
    finally:
        webhook.configure("Fail")
        replica.start()
        replica.ready()
        webhook.trusted()
    assert on_fargate(made(kubectl, pod("p"))) == "fp-outage"


@pytest.mark.faults
def test_rotation_under_load(cluster: Cluster, kubectl: Kubectl) -> None:
    """Certificates of 40 s and an authority of two minutes: no pod is ever refused while both are renewed."""
    short = Webhook(cluster, f"rotate-{secrets.token_hex(2)}")
    try:
        short.install()
        lifetimes = ("--certificate-lifetime", "40", "--ca-lifetime", "120")
        first = short.add_replica(*lifetimes)
        first.ready()
        short.add_replica(*lifetimes).ready()
        short.trusted()
        kubectl("label", "namespace", kubectl.namespace, f"{LABEL}={short.name}")
        short.profile("fp-rotate", {"namespace": kubectl.namespace})

        def authority() -> str:
            return short.kubectl.get("secret", "farlet-webhook-tls")["data"]["ca.key"]

        before, failures, count, ended = authority(), [], [0], threading.Event()

        def load() -> None:
            while not ended.is_set():
                done = dry_run(kubectl, pod("p"))
                count[0] += 1
                if done.returncode != 0 or "fp-rotate" not in done.stdout:
                    failures.append(done.stderr)

        threads = [threading.Thread(target=load) for _ in range(2)]
        for thread in threads:
            thread.start()
        try:
            wait_until("the authority is renewed", lambda: authority() != before, 120, 1)
            time.sleep(40)  # and so is what the new one signs
        finally:
            ended.set()
            for thread in threads:
                thread.join()
        assert not failures, (count, failures[:3])
        assert count[0] > 50

        # The other one takes over what only one does.
        first.stop()
        renewed = authority()
        wait_until("the second replica renews it", lambda: authority() != renewed, 150, 1)
    finally:
        short.remove()


def test_pods_without_a_profile_are_told(webhook: Webhook, asked: str, kubectl: Kubectl) -> None:
    told = dry_run(kubectl, pod("p", nodeSelector={COMPUTE_TYPE: "fargate"}))
    assert told.returncode == 0
    assert "it stays Pending until a FargateProfile selects it" in told.stderr
    kubectl.create(pod("p", schedulerName="fargate-scheduler"))

    def event() -> bool:
        return any(each["reason"] == "FargateProfile" for each in kubectl.list("events"))

    wait_until("an event says so, too", event, 30)
    stays("it waits", lambda: kubectl.get("pod", "p")["status"]["phase"] == "Pending", 2)
