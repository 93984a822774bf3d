"""Where everything of the cluster under test is. `deploy/local/env` prints the variables."""

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[3]
LOCAL = REPOSITORY / "deploy" / "local"


@dataclass(frozen=True)
class Cluster:
    """A cluster that deploy/local/up has made, and the node in it that the tests are about."""

    env: dict[str, str]
    node: str
    kind: str  # farlet | kubelet
    handler: str  # the containerd runtime that runs the node's pods

    def __getattr__(self, name: str) -> str:
        """cluster.state is $FARLET_STATE, and so on."""
        try:
            return self.env[f"FARLET_{name.upper()}"]
        except KeyError:
            raise AttributeError(f"deploy/local/env prints no FARLET_{name.upper()}") from None

    @property
    def name(self) -> str:
        return self.env["FARLET_CLUSTER"]

    @property
    def kubectl_binary(self) -> str:
        return self.env["KUBECTL"]

    @property
    def kubeconfig(self) -> str:
        return self.env["KUBECONFIG"]

    @property
    def containerd(self) -> str:
        return self.env["CONTAINERD_ADDRESS"]

    @property
    def agent_log(self) -> Path:
        return Path(self.logs) / f"node-{self.node}.log"

    def local(self, command: str, *arguments: str, deadline: float = 180) -> str:
        """Runs one of deploy/local's commands on this cluster."""
        words = [str(LOCAL / command), *arguments, "--name", self.name]
        done = subprocess.run(words, capture_output=True, text=True, timeout=deadline, stdin=subprocess.DEVNULL)
        assert done.returncode == 0, f"{' '.join(words)}: {done.stdout[-1500:]}{done.stderr[-1500:]}"
        return done.stdout

    def in_network(self, *command: str, deadline: float = 20) -> subprocess.CompletedProcess[str]:
        """Runs a command in the cluster's network namespace, where pods and services have their addresses."""
        words = ["nsenter", f"--net=/run/netns/{self.netns}", "--", *command]
        return subprocess.run(words, capture_output=True, text=True, timeout=deadline, stdin=subprocess.DEVNULL)

    def http_get(self, url: str, deadline: float = 5) -> str:
        """The body of a page, seen from the cluster's network; empty when there is no answer."""
        return self.in_network("curl", "-sS", "-f", "-m", str(deadline), url, deadline=deadline + 5).stdout


def find_cluster(node: str, kind: str, handler: str) -> Cluster:
    """From the environment, or by name from deploy/local/env (FARLET_TEST_CLUSTER, `test`)."""
    env = dict(os.environ)
    if "FARLET_CLUSTER" not in env:
        name = env.get("FARLET_TEST_CLUSTER", "test")
        script = f'eval "$({LOCAL}/env --name {name})" && env -0'
        done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True)
        env = dict(line.split("=", 1) for line in done.stdout.split("\0") if "=" in line)
    return Cluster(env, node, kind, handler)
