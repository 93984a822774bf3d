"""Pods in every stage, for tests in which something fails meanwhile."""

from typing import Any

from .kubectl import Kubectl
from .objects import FOREVER, container, pod
from .pods import Pods, container_status

Json = dict[str, Any]


def steady(count: int, prefix: str = "steady") -> list[Json]:
    return [pod(f"{prefix}-{i}", container(command=FOREVER)) for i in range(count)]


def identities(pods: list[Json]) -> dict[str, tuple[str, int]]:
    """Which container a pod has, and how often it was restarted."""
    return {
        each["metadata"]["name"]: (container_status(each)["containerID"], container_status(each)["restartCount"])
        for each in pods
    }


def current(kubectl: Kubectl, names: set[str]) -> list[Json]:
    return [each for each in kubectl.list("pods") if each["metadata"]["name"] in names]


class Churn:
    """Steady pods that must not notice, and pods that start, end and go while something is away."""

    def __init__(self, kubectl: Kubectl, steady_count: int = 6) -> None:
        self.kubectl = kubectl
        self.pods = Pods(kubectl)
        ending = pod("ending", container(command="sleep 15; exit 3"), restartPolicy="Never")
        leaving = steady(3, "leaving")
        for each in leaving:
            each["spec"]["terminationGracePeriodSeconds"] = 5
        made = self.pods.run(*steady(steady_count), *leaving)
        self.before = identities(made[:steady_count])
        kubectl.create(ending)
        self.pods.phase("ending", "Running")

    def begin(self) -> None:
        """Right before the fault: three pods go, five come."""
        self.kubectl("delete", "pods", "leaving-0", "leaving-1", "leaving-2", "--wait=false")
        self.kubectl.create(*steady(5, "coming"))

    def check(self, timeout: float = 90) -> None:
        """After the fault: everything is as if it had not been."""
        for i in range(5):
            self.pods.ready(f"coming-{i}", timeout)
        for i in range(3):
            self.pods.gone(f"leaving-{i}", timeout)
        ended = self.pods.phase("ending", "Failed", timeout)
        assert container_status(ended)["state"]["terminated"]["exitCode"] == 3
        assert container_status(ended)["restartCount"] == 0
        for name in self.before:
            self.pods.ready(name, timeout)
        assert identities(current(self.kubectl, set(self.before))) == self.before
        for each in self.kubectl.list("pods"):
            if each["metadata"]["name"].startswith("coming"):
                assert container_status(each)["restartCount"] == 0, container_status(each)
