"""Manifests. Pods end fast (grace 1 s) unless a test wants otherwise."""

from typing import Any

Json = dict[str, Any]
BUSYBOX = "busybox:1.36"
NGINX = "nginx:alpine"
FOREVER = ["sh", "-c", "trap exit TERM INT; while :; do sleep 0.2; done"]


def container(name: str = "main", command: list[str] | str | None = None, image: str = BUSYBOX, **fields: Any) -> Json:
    """A string as command is a shell script."""
    if isinstance(command, str):
        command = ["sh", "-c", command]
    made: Json = {"name": name, "image": image, **fields}
    if command is not None:
        made["command"] = command
    return made


def pod_spec(*containers: Json, **fields: Any) -> Json:
    return {
        "terminationGracePeriodSeconds": 1,
        "containers": list(containers) or [container(command=FOREVER)],
        **fields,
    }


def pod(name: str, *containers: Json, labels: dict[str, str] | None = None, **fields: Any) -> Json:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": labels or {"app": name}},
        "spec": pod_spec(*containers, **fields),
    }


def deployment(name: str, replicas: int, *containers: Json, **fields: Any) -> Json:
    labels = {"app": name}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "labels": labels},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": pod_spec(*containers, **fields)},
        },
    }


def service(name: str, port: int = 80, target: int | str = 80) -> Json:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name},
        "spec": {"selector": {"app": name}, "ports": [{"port": port, "targetPort": target}]},
    }


def config_map(name: str, data: dict[str, str]) -> Json:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


def secret(name: str, data: dict[str, str], kind: str = "Opaque") -> Json:
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "type": kind, "stringData": data}


def fargate_profile(name: str, *selectors: Json, **fields: Any) -> Json:
    return {
        "apiVersion": "farlet.dev/v1alpha1",
        "kind": "FargateProfile",
        "metadata": {"name": name},
        "spec": {"selectors": list(selectors), **fields},
    }
