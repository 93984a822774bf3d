"""The cluster of the benchmark: one containerd, and one agent on it at a time.

A farlet node and a kubelet node share the network namespace and the containerd of the cluster, so whatever
differs between two runs is the agent.
"""

import os
import platform
import subprocess
import time
from pathlib import Path
from typing import Any

from harness.cluster import LOCAL, REPOSITORY, Cluster, find_cluster
from harness.cri import Cri
from harness.kubectl import Kubectl
from harness.pods import is_ready
from harness.processes import Process, cpu_seconds, machine_cpu_seconds
from harness.waiting import wait_until

FARLET = REPOSITORY / "build" / "release" / "provider" / "app" / "farlet"
CONTROL_PLANE = ("kube-apiserver", "etcd", "kube-scheduler", "kube-controller-manager")
NODES = {"farlet": "bench-farlet", "kubelet": "bench-kubelet"}
AUDIT_POLICY = """apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- level: Metadata
  userGroups: ["system:nodes"]
- level: None
"""


def run_local(command: str, *arguments: str) -> None:
    """One of deploy/local's commands; its output is shown only when it fails."""
    words = [str(LOCAL / command), *arguments]
    done = subprocess.run(words, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(words)} failed:\n{done.stdout[-3000:]}{done.stderr[-3000:]}")


class Bench:
    """Use it in a `with`: a cluster that was not there before is taken down at the end."""

    def __init__(self, name: str, keep: bool) -> None:
        self._name, self._keep = name, keep
        self._made = not Path(f"/var/lib/farlet-local/{name}/admin.kubeconfig").exists()
        if self._made:
            run_local("down", "--name", name)
            run_local("up", "--name", name, "--no-node")
        os.environ["FARLET_TEST_CLUSTER"] = name
        os.environ.pop("FARLET_CLUSTER", None)
        self.cluster: Cluster = find_cluster("", "", "")
        self.kubectl = Kubectl(self.cluster)
        self.cri = Cri(self.cluster)
        self.audit_log = Path(self.cluster.state) / "audit.log"
        self.active = ""
        # A cluster that was there before has a copy of an older agent; without it the one that was built is copied.
        (Path(self.cluster.state) / "bin" / "farlet").unlink(missing_ok=True)

    def __enter__(self) -> "Bench":
        try:
            self._log_requests()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        if self._made and not self._keep:
            run_local("down", "--name", self._name)

    def _log_requests(self) -> None:
        """Restarts the API server with an audit log of what nodes ask for: one line a request, no bodies."""
        policy = Path(self.cluster.state) / "audit-policy.yaml"
        policy.write_text(AUDIT_POLICY, encoding="ascii")
        server = Process(self.cluster, "kube-apiserver")
        if any("audit-log-path" in word for word in server.command):
            return
        server.kill()
        server.start(f"--audit-policy-file={policy}", f"--audit-log-path={self.audit_log}", "--audit-log-mode=batch")
        ready = lambda: self.kubectl.run("get", "--raw", "/readyz", check=False).returncode == 0  # noqa: E731
        wait_until("the API server answers", ready, 90, 0.5)

    def use(self, agent: str) -> str:
        """Makes one of the agents the active one; the name of its node. "" ends the active one."""
        if agent == self.active:
            return NODES.get(agent, "")
        self.wait_empty()
        if self.active:
            run_local("node", "stop", "--name", self._name, "--node", NODES[self.active])
        self.active = agent
        if not agent:
            return ""
        node = NODES[agent]
        run_local("node", "add", "--name", self._name, "--node", node, "--kind", agent, "--same-containerd")
        wait_until(f"{node} is ready", lambda: is_ready(self.kubectl.get("node", node)), 60)
        time.sleep(3)
        return node

    @property
    def agent_pid(self) -> int:
        return Process(self.cluster, f"node-{NODES[self.active]}").pid

    def cpu(self) -> dict[str, float]:
        """Seconds used until now: by the whole machine, this process, the control plane and the active agent."""
        used = {
            "cpu_machine": machine_cpu_seconds(),
            "cpu_client": time.process_time(),
            "cpu_control": sum(cpu_seconds(Process(self.cluster, name).pid) for name in CONTROL_PLANE),
        }
        return {**used, "cpu": cpu_seconds(self.agent_pid)} if self.active else used

    def wait_empty(self) -> None:
        """Until containerd holds no sandbox: a kubelet removes them a while after their pods are gone."""
        wait_until("containerd is empty", lambda: not self.cri.sandboxes(), 180, 0.5)


def describe_machine(cluster: Cluster) -> dict[str, Any]:
    containerd = subprocess.run(["containerd", "--version"], capture_output=True, text=True, check=False).stdout.split()
    return {
        "cores": os.cpu_count(),
        "kernel": platform.release(),
        "containerd": containerd[2] if len(containerd) > 2 else "",
        "kubelet": Path(cluster.env["KUBELET"]).parent.name,
        "load before": round(os.getloadavg()[0], 2),
    }
