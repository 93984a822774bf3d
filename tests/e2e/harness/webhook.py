"""A farlet webhook beside the cluster: its process, and what the API server has to know of it."""

import os
import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import Any

from .cluster import REPOSITORY, Cluster
from .kubectl import Kubectl
from .objects import fargate_profile
from .waiting import wait_until

Json = dict[str, Any]
CRD = REPOSITORY / "deploy" / "helm" / "farlet" / "files" / "fargateprofiles.yaml"
LABEL = "farlet-e2e-webhook"  # of the namespaces that the API server asks it about
PROFILE_LABEL = "eks.amazonaws.com/fargate-profile"
COMPUTE_TYPE = "eks.amazonaws.com/compute-type"


def free_port(address: str) -> int:
    with socket.socket() as probe:
        probe.bind((address, 0))
        return probe.getsockname()[1]


class Replica:
    """One `farlet webhook`. It runs in the host's network, where the API server reaches it at HOST_IP."""

    def __init__(self, cluster: Cluster, name: str, namespace: str, port: int, *more: str) -> None:
        self.cluster, self.name, self.port = cluster, name, port
        self.log = Path(cluster.logs) / f"webhook-{name}.log"
        self.words = [
            f"{cluster.state}/bin/farlet", "webhook", "--kubeconfig", cluster.kubeconfig,
            "--address", cluster.host_ip, "--port", str(port), "--namespace", namespace, "--host", cluster.host_ip,
            "--configuration", namespace, "--identity", name, "--runtime-class", namespace, *more,
        ]  # fmt: skip
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        env = dict(os.environ) | {"FARLET_LOCAL": self.cluster.name}
        with open(self.log, "ab") as output:
            self.process = subprocess.Popen(self.words, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=env)

    def stop(self, number: int = signal.SIGTERM) -> None:
        if self.process is not None:
            self.process.send_signal(number)
            self.process.wait(timeout=20)
            self.process = None

    def get(self, path: str) -> str:
        words = ["curl", "-sS", "-k", "-f", "-m", "5", f"https://{self.cluster.host_ip}:{self.port}{path}"]
        return subprocess.run(words, capture_output=True, text=True, check=False).stdout

    def ready(self) -> None:
        wait_until(f"webhook {self.name} is ready", lambda: self.get("/readyz") == "ok", 30)


class Webhook:
    """Its configuration, RuntimeClass and namespace in the cluster, all named alike, and its replicas."""

    def __init__(self, cluster: Cluster, name: str) -> None:
        self.cluster, self.name = cluster, name
        self.kubectl = Kubectl(cluster, name)
        self.port = free_port(cluster.host_ip)
        self.replicas: list[Replica] = []
        self.profiles: set[str] = set()

    def install(self) -> None:
        self.kubectl("apply", "-f", str(CRD))
        self.kubectl("wait", "--for=condition=Established", "crd/fargateprofiles.farlet.dev", "--timeout=30s")
        self.kubectl("create", "namespace", self.name)
        self.kubectl.apply(
            {
                "apiVersion": "node.k8s.io/v1",
                "kind": "RuntimeClass",
                "metadata": {"name": self.name},
                "handler": self.cluster.handler,
                "overhead": {"podFixed": {"memory": "256Mi"}},
                "scheduling": {"nodeSelector": {COMPUTE_TYPE: "fargate"}},
            }
        )
        self.configure("Fail")

    def configure(self, failure_policy: str) -> None:
        rule = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}
        old = self.kubectl.find("mutatingwebhookconfiguration", self.name)
        client = {"url": f"https://{self.cluster.host_ip}:{self.port}/mutate"}
        if old is not None:
            client = old["webhooks"][0]["clientConfig"]
        self.kubectl.apply(
            {
                "apiVersion": "admissionregistration.k8s.io/v1",
                "kind": "MutatingWebhookConfiguration",
                "metadata": {"name": self.name},
                "webhooks": [
                    {
                        "name": "pods.fargate.farlet.dev",
                        "admissionReviewVersions": ["v1"],
                        "clientConfig": client,
                        "failurePolicy": failure_policy,
                        "reinvocationPolicy": "IfNeeded",
                        "sideEffects": "None",
                        "timeoutSeconds": 5,
                        "rules": [rule],
                        "namespaceSelector": {"matchLabels": {LABEL: self.name}},
                    }
                ],
            }
        )

    def add_replica(self, *more: str) -> Replica:
        number = len(self.replicas)
        port = self.port if number == 0 else free_port(self.cluster.host_ip)
        replica = Replica(self.cluster, f"{self.name}-{number}", self.name, port, *more)
        self.replicas.append(replica)
        replica.start()
        return replica

    def trusted(self) -> None:
        """The API server has the caBundle, and asks."""

        def asks() -> bool:
            done = self.kubectl.run(
                "run", "probe", "--image=x", "--restart=Never", "--dry-run=server", "-n", self.probe_namespace, check=False
            )
            assert done.returncode == 0, done.stderr
            return True

        wait_until("the API server reaches the webhook", asks, 30)

    @property
    def probe_namespace(self) -> str:
        name = f"{self.name}-probe"
        if self.kubectl.find("namespace", name) is None:
            self.kubectl("create", "namespace", name)
            self.kubectl("label", "namespace", name, f"{LABEL}={self.name}")
            wait_until("the default account exists", lambda: Kubectl(self.cluster, name).find("serviceaccount", "default"))
        return name

    def profile(self, name: str, *selectors: Json, **fields: Any) -> None:
        self.profiles.add(name)
        self.kubectl.apply(fargate_profile(name, *selectors, **fields))
        # What a webhook does not know yet it does not match.
        time.sleep(0.5)

    def remove_profiles(self) -> None:
        """Its own: other tests have some, too."""
        for name in self.profiles:
            self.kubectl("delete", "fargateprofile", name, "--ignore-not-found")
        self.profiles.clear()

    def remove(self) -> None:
        for replica in self.replicas:
            replica.stop()
        self.kubectl("delete", "mutatingwebhookconfiguration", self.name, "--ignore-not-found")
        self.remove_profiles()
        self.kubectl("delete", "runtimeclass", self.name, "--ignore-not-found")
        for namespace in (self.name, f"{self.name}-probe"):
            self.kubectl("delete", "namespace", namespace, "--ignore-not-found", "--wait=false")
