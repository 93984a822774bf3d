"""containerd through CRI, as a node's agent sees it: what really runs, and to the nanosecond when it ended."""

import importlib.util
import subprocess
import sys
import tempfile
from pathlib import Path
from types import ModuleType
from typing import Any

import grpc

from .cluster import REPOSITORY, Cluster

PROTO = REPOSITORY / "proto" / "cri" / "v1"


def load_messages() -> ModuleType:
    """The messages of proto/cri/v1/api.proto, generated into a folder that is gone afterwards."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(["protoc", f"-I{PROTO}", f"--python_out={folder}", "api.proto"], check=True)
        spec = importlib.util.spec_from_file_location("cri_api_pb2", Path(folder) / "api_pb2.py")
        assert spec and spec.loader
        module = importlib.util.module_from_spec(spec)
        sys.modules["cri_api_pb2"] = module
        spec.loader.exec_module(module)
    return module


class Cri:
    READY = 0  # PodSandboxState
    RUNNING = 1  # ContainerState

    def __init__(self, cluster: Cluster) -> None:
        self.api: Any = load_messages()
        self._channel = grpc.insecure_channel(
            f"unix:{cluster.containerd}", [("grpc.enable_http_proxy", 0), ("grpc.default_authority", "localhost")]
        )

    def call(self, method: str, deadline: float = 20, **fields: Any) -> Any:
        """One call of the runtime service, by its name."""
        ask, answer = getattr(self.api, f"{method}Request"), getattr(self.api, f"{method}Response")
        stub = self._channel.unary_unary(
            f"/runtime.v1.RuntimeService/{method}",
            request_serializer=ask.SerializeToString,
            response_deserializer=answer.FromString,
        )
        return stub(ask(**fields), timeout=deadline, wait_for_ready=True)

    def sandboxes(self) -> list[Any]:
        return list(self.call("ListPodSandbox").items)

    def containers(self) -> list[Any]:
        return list(self.call("ListContainers").containers)

    def finished_at(self, container_id: str) -> float:
        """When a container ended, in seconds since the epoch."""
        bare = container_id.removeprefix("containerd://")
        return self.call("ContainerStatus", container_id=bare).status.finished_at / 1e9

    def make_sandbox(self, name: str, labels: dict[str, str], host_network: bool = True) -> str:
        """A pod sandbox that no agent has made. Its ID."""
        api = self.api
        config = api.PodSandboxConfig(
            metadata=api.PodSandboxMetadata(name=name, uid=f"{name}-uid", namespace="elsewhere", attempt=0),
            labels=labels,
        )
        if host_network:
            config.linux.security_context.namespace_options.network = 2  # NODE
        return self.call("RunPodSandbox", config=config).pod_sandbox_id

    def remove_sandbox(self, sandbox_id: str) -> None:
        self.call("StopPodSandbox", pod_sandbox_id=sandbox_id)
        self.call("RemovePodSandbox", pod_sandbox_id=sandbox_id)
