"""Pulls: policies, failures and their back-off, registries that ask for a password."""

import base64
import json
from typing import Any

from harness.cluster import Cluster
from harness.kubectl import Kubectl
from harness.objects import FOREVER, container, pod, secret
from harness.pods import Pods, container_status, reason, state
from harness.waiting import wait_until

Json = dict[str, Any]
MISSING = "busybox:no-such-tag"


def test_missing_image(kubectl: Kubectl, pods: Pods) -> None:
    kubectl.create(pod("lost", container(image=MISSING)))
    first = pods.wait("lost", "says why", lambda each: reason(each) == "ErrImagePull")
    assert first["status"]["phase"] == "Pending"
    assert "no-such-tag" in state(first)[1]["message"]
    waiting = pods.wait("lost", "backs off", lambda each: reason(each) == "ImagePullBackOff", 30)
    assert state(waiting)[1]["message"].startswith(f'Back-off pulling image "{MISSING}"')
    for kind, why, text in (
        ("Normal", "Pulling", f'Pulling image "{MISSING}"'),
        ("Warning", "Failed", f'Failed to pull image "{MISSING}": '),
        ("Warning", "Failed", "Error: ErrImagePull"),
        ("Normal", "BackOff", f'Back-off pulling image "{MISSING}"'),
        ("Warning", "Failed", "Error: ImagePullBackOff"),
    ):
        pods.wait_event("lost", kind, why, text)


def test_policy_never(kubectl: Kubectl, pods: Pods) -> None:
    kubectl.create(pod("local", container(image="nginx:not-here", imagePullPolicy="Never")))
    waiting = pods.wait("local", "says why", lambda each: reason(each) == "ErrImageNeverPull")
    message = 'Container image "nginx:not-here" is not present with pull policy of Never'
    assert state(waiting)[1]["message"] == message
    pods.wait_event("local", "Warning", "ErrImageNeverPull", message)


def test_policies_and_events(kubectl: Kubectl, pods: Pods) -> None:
    pods.run(pod("always", container(command=FOREVER, imagePullPolicy="Always")))
    pods.wait_event("always", "Normal", "Pulled", 'Successfully pulled image "busybox:1.36" in ')
    pods.run(pod("present", container(command=FOREVER, imagePullPolicy="IfNotPresent")))
    pods.wait_event("present", "Normal", "Pulled", 'Container image "busybox:1.36" already present on machine')


def test_bad_image_name(kubectl: Kubectl, pods: Pods) -> None:
    kubectl.create(pod("bad", container(image="Not/A:::Name")))
    waiting = pods.wait("bad", "says why", lambda each: reason(each) == "InvalidImageName")
    assert "Not/A:::Name" in state(waiting)[1]["message"]


def test_fixing_the_image_starts_the_pod(kubectl: Kubectl, pods: Pods) -> None:
    kubectl.create(pod("fixed", container(image=MISSING, command=FOREVER)))
    pods.wait("fixed", "fails", lambda each: reason(each) in ("ErrImagePull", "ImagePullBackOff"))
    kubectl("set", "image", "pod/fixed", "main=busybox:latest")
    ready = pods.ready("fixed", 60)
    assert container_status(ready)["image"].endswith("busybox:latest")


def private(name: str, cluster: Cluster, *secrets: str) -> Json:
    wanted = container(command=FOREVER, image=cluster.private_image, imagePullPolicy="Always")
    return pod(name, wanted, imagePullSecrets=[{"name": each} for each in secrets])


def test_private_registry(cluster: Cluster, kubectl: Kubectl, pods: Pods) -> None:
    """Every form in which a password is kept; without one, and with a wrong one, the pull fails."""
    user, password = cluster.private_registry_user, cluster.private_registry_password
    auth = base64.b64encode(f"{user}:{password}".encode()).decode()
    where = cluster.private_registry
    forms: dict[str, tuple[str, str, Json]] = {
        "config-auth": ("kubernetes.io/dockerconfigjson", ".dockerconfigjson", {"auths": {where: {"auth": auth}}}),
        "config-plain": (
            "kubernetes.io/dockerconfigjson",
            ".dockerconfigjson",
            {"auths": {f"http://{where}/v1/": {"username": user, "password": password}}},
        ),
        "old-form": ("kubernetes.io/dockercfg", ".dockercfg", {where: {"auth": auth}}),
    }
    objects = [secret(name, {key: json.dumps(value)}, kind) for name, (kind, key, value) in forms.items()]
    wrong = {"auths": {where: {"username": user, "password": "wrong"}}}
    objects.append(secret("wrong", {".dockerconfigjson": json.dumps(wrong)}, "kubernetes.io/dockerconfigjson"))
    kubectl.create(*objects)
    kubectl.create(private("without", cluster), private("with-wrong", cluster, "wrong"))
    kubectl.create(*(private(name, cluster, name) for name in forms))
    kubectl.create(private("both", cluster, "wrong", "config-auth"))
    for name in [*forms, "both"]:
        pods.ready(name, 60)
    for name in ("without", "with-wrong"):
        waiting = pods.wait(name, "fails", lambda each: reason(each) in ("ErrImagePull", "ImagePullBackOff"))
        assert "private/busybox" in state(waiting)[1]["message"]
        pods.wait_event(name, "Warning", "Failed", "Failed to pull image")


def test_password_of_the_account(cluster: Cluster, kubectl: Kubectl, pods: Pods) -> None:
    """imagePullSecrets of the service account are put into the pod by the API server."""
    kubectl(
        "create", "secret", "docker-registry", "regcred", f"--docker-server={cluster.private_registry}",
        f"--docker-username={cluster.private_registry_user}", f"--docker-password={cluster.private_registry_password}",
    )  # fmt: skip
    kubectl("patch", "serviceaccount", "default", "-p", '{"imagePullSecrets":[{"name":"regcred"}]}')
    wanted = pod("account", container(command=FOREVER, image=cluster.private_image, imagePullPolicy="Always"))

    def added() -> bool:
        """Whether the API server knows of the change to the account."""
        made = kubectl("create", "--dry-run=server", "-o", "json", "-f", "-", stdin=json.dumps(wanted))
        return bool(json.loads(made)["spec"].get("imagePullSecrets"))

    wait_until("the API server adds it", added, 20)
    pods.run(wanted)
