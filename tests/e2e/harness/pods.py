"""Questions about pods, asked through kubectl."""

from collections.abc import Callable
from typing import Any

from .kubectl import Kubectl
from .waiting import wait_until

Json = dict[str, Any]


def condition(thing: Json, kind: str) -> Json:
    """A condition of a pod or node; empty when it is not there."""
    found = [each for each in thing.get("status", {}).get("conditions", []) if each["type"] == kind]
    return found[0] if found else {}


def is_ready(thing: Json) -> bool:
    return condition(thing, "Ready").get("status") == "True"


def container_status(pod: Json, name: str = "main") -> Json:
    status = pod.get("status", {})
    every = status.get("containerStatuses", []) + status.get("initContainerStatuses", [])
    found = [each for each in every if each["name"] == name]
    return found[0] if found else {}


def state(pod: Json, name: str = "main") -> tuple[str, Json]:
    """("waiting" | "running" | "terminated" | "", its fields)."""
    for kind, fields in container_status(pod, name).get("state", {}).items():
        return kind, fields
    return "", {}


def reason(pod: Json, name: str = "main") -> str:
    return state(pod, name)[1].get("reason", "")


class Pods:
    def __init__(self, kubectl: Kubectl) -> None:
        self.kubectl = kubectl

    def get(self, name: str) -> Json:
        return self.kubectl.get("pod", name)

    def wait(self, name: str, what: str, test: Callable[[Json], Any], timeout: float = 60) -> Json:
        """Until the test of the pod is true; the pod as it was then. A field that is not there yet is not true."""

        def check() -> Json | None:
            pod = self.kubectl.get("pod", name)
            try:
                passed = test(pod)
            except (KeyError, IndexError):
                passed = False
            assert passed, pod.get("status")
            return pod

        found = wait_until(f"pod {name} {what}", check, timeout)
        assert found
        return found

    def ready(self, name: str, timeout: float = 60) -> Json:
        return self.wait(name, "is ready", is_ready, timeout)

    def phase(self, name: str, phase: str, timeout: float = 60) -> Json:
        return self.wait(name, f"is {phase}", lambda pod: pod["status"].get("phase") == phase, timeout)

    def gone(self, name: str, timeout: float = 60) -> None:
        wait_until(f"pod {name} is gone", lambda: self.kubectl.find("pod", name) is None, timeout)

    def run(self, *pods: Json, timeout: float = 60) -> list[Json]:
        """Creates pods and waits until they are ready."""
        self.kubectl.create(*pods)
        return [self.ready(pod["metadata"]["name"], timeout) for pod in pods]

    def exec(self, name: str, *command: str, **options: Any) -> str:
        return self.kubectl("exec", name, "--", *command, **options)

    def shell(self, name: str, script: str, **options: Any) -> str:
        return self.kubectl("exec", name, "--", "sh", "-c", script, **options)

    def logs(self, name: str, *options: str, check: bool = True) -> str:
        return self.kubectl("logs", name, *options, check=check)

    def wait_logs(self, name: str, text: str, *options: str, timeout: float = 30) -> str:
        """The log once the text is in it: a container is ready when it was started, before it has written anything."""
        return wait_until(
            f"{name} has written {text!r}",
            lambda: log if text in (log := self.logs(name, *options)) else None,
            timeout,
        )

    def events(self, name: str) -> list[Json]:
        """The pod's events that its node has sent, oldest first."""
        found = [
            event
            for event in self.kubectl.list("events")
            if event["involvedObject"]["name"] == name and event["source"].get("host")
        ]
        return sorted(found, key=lambda event: event.get("firstTimestamp") or "")

    def wait_event(self, name: str, kind: str, reason: str, text: str, timeout: float = 60) -> Json:
        """An event of that type and reason whose message contains the text."""

        def check() -> Json | None:
            events = self.events(name)
            for event in events:
                if event["type"] == kind and event["reason"] == reason and text in event["message"]:
                    return event
            raise AssertionError([(event["type"], event["reason"], event["message"]) for event in events])

        found = wait_until(f"event {kind} {reason} '{text}' of pod {name}", check, timeout)
        assert found
        return found
