"""Parameters and fixtures. Each test has a namespace of its own; a failure shows what the cluster says."""

import re
import secrets
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from harness.cluster import Cluster, find_cluster
from harness.kubectl import Kubectl
from harness.pods import Pods
from harness.waiting import wait_until


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--node", default="farlet-0", help="the node under test")
    parser.addoption("--node-kind", default="farlet", choices=["farlet", "kubelet"], help="its agent")
    parser.addoption("--runtime-handler", default="runc", help="the containerd runtime of its pods")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--node-kind") == "kubelet":
        for item in items:
            if item.get_closest_marker("farlet_only"):
                item.add_marker(pytest.mark.skip(reason="farlet's promise, not the kubelet's"))


@pytest.fixture(scope="session")
def cluster(pytestconfig: pytest.Config) -> Cluster:
    option = pytestconfig.getoption
    found = find_cluster(option("--node"), option("--node-kind"), option("--runtime-handler"))
    kubectl = Kubectl(found)
    wait_until(f"node {found.node} is there", lambda: kubectl.find("node", found.node), 10)
    return found


@pytest.fixture(scope="session")
def used_namespaces(cluster: Cluster) -> Iterator[list[str]]:
    """At the end every namespace has to be gone: that is what deleting its pods leads to."""
    names: list[str] = []
    yield names
    kubectl = Kubectl(cluster)
    for name in names:
        wait_until(f"namespace {name} is gone", lambda name=name: kubectl.find("namespace", name) is None, 120)


@pytest.fixture
def namespace(cluster: Cluster, used_namespaces: list[str], request: pytest.FixtureRequest) -> Iterator[str]:
    words = re.sub(r"[^a-z0-9]+", "-", request.node.name.lower().removeprefix("test_")).strip("-")
    name = f"e2e-{words[:40].strip('-')}-{secrets.token_hex(2)}"
    kubectl = Kubectl(cluster, name)
    kubectl("create", "namespace", name)
    # A pod that is posted before its account exists is refused.
    wait_until("the default account exists", lambda: kubectl.find("serviceaccount", "default"), 120)
    request.node.farlet_namespace = name
    yield name
    used_namespaces.append(name)
    kubectl("delete", "namespace", name, "--wait=false")


@pytest.fixture
def kubectl(cluster: Cluster, namespace: str) -> Kubectl:
    return Kubectl(cluster, namespace)


@pytest.fixture
def pods(kubectl: Kubectl) -> Pods:
    return Pods(kubectl)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[Any]:
    outcome = yield
    report = outcome.get_result()
    cluster = item.funcargs.get("cluster") if hasattr(item, "funcargs") else None
    if report.when == "call" and report.failed and cluster is not None:
        report.sections.append(("the cluster", describe(cluster, getattr(item, "farlet_namespace", None))))


def describe(cluster: Cluster, namespace: str | None) -> str:
    """Pods, events and the agent's log, as much as fits a report."""
    parts: list[str] = []
    kubectl = Kubectl(cluster, namespace or "default")
    for words in (["get", "pods", "-o", "wide"], ["describe", "pods"], ["get", "events"]) if namespace else ():
        try:
            parts.append(f"$ kubectl {' '.join(words)}\n{kubectl(*words, check=False, deadline=15)[-6000:]}")
        except subprocess.TimeoutExpired:
            parts.append(f"$ kubectl {' '.join(words)}: no answer")
    try:
        lines = cluster.agent_log.read_text(errors="replace").splitlines()[-5000:]
    except OSError as error:
        lines = [str(error)]
    about = [line[:400] for line in lines if namespace and namespace in line]
    parts.append(f"{cluster.agent_log}, about {namespace}:\n" + "\n".join(about[-40:]))
    parts.append("and its end:\n" + "\n".join(line[:400] for line in lines[-10:]))
    return "\n\n".join(parts)
