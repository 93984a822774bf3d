"""The node's own API on :10250: who may ask, and what it answers."""

import json
import subprocess
from typing import Any

import pytest

from harness.cluster import Cluster
from harness.kubectl import Kubectl
from harness.objects import pod
from harness.pods import Pods
from harness.waiting import wait_until

Json = dict[str, Any]


def ask(cluster: Cluster, path: str, *options: str, method: str = "GET") -> tuple[int, str]:
    """Status code and body; `options` are curl's."""
    url = f"https://{cluster.cluster_ip}:10250{path}"
    words = ["curl", "-sS", "-k", "-m", "10", "-X", method, "-w", "\n%{http_code}", *options, url]
    done = subprocess.run(words, capture_output=True, text=True, timeout=20, stdin=subprocess.DEVNULL, check=False)
    assert done.returncode == 0, done.stderr
    body, _, code = done.stdout.rpartition("\n")
    return int(code), body


@pytest.fixture
def admin(cluster: Cluster) -> list[str]:
    """The certificate that the API server shows."""
    base = f"{cluster.state}/pki/apiserver-kubelet-client"
    return ["--cert", f"{base}.crt", "--key", f"{base}.key"]


@pytest.mark.parametrize(
    "path", ["/pods", "/runningpods/", "/healthz", "/containerLogs/a/b/c", "/metrics", "/exec/a/b/c"]
)
def test_anonymous_is_refused(cluster: Cluster, path: str) -> None:
    assert ask(cluster, path)[0] == 401


def test_wrong_token_is_refused(cluster: Cluster) -> None:
    assert ask(cluster, "/pods", "-H", "Authorization: Bearer nonsense")[0] == 401


def test_certificate_of_another_authority_is_refused(cluster: Cluster, tmp_path: str) -> None:
    words = (
        f"openssl req -x509 -newkey rsa:2048 -nodes -subj /O=system:masters/CN=admin -days 1 "
        f"-keyout {tmp_path}/key -out {tmp_path}/crt"
    )
    subprocess.run(words.split(), check=True, capture_output=True)
    url = f"https://{cluster.cluster_ip}:10250/pods"
    done = subprocess.run(
        ["curl", "-sS", "-k", "-m", "10", "-o", "/dev/null", "-w", "%{http_code}", "--cert", f"{tmp_path}/crt",
         "--key", f"{tmp_path}/key", url], capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.stdout in ("401", "000"), "refused by HTTP or already by TLS"


def test_account_without_rights_is_forbidden(cluster: Cluster, kubectl: Kubectl) -> None:
    token = kubectl("create", "token", "default").strip()
    for method, path in (("GET", "/pods"), ("POST", "/exec/a/b/c?command=id"), ("GET", "/containerLogs/a/b/c")):
        code, body = ask(cluster, path, "-H", f"Authorization: Bearer {token}", method=method)
        assert code == 403, (path, body)
        assert f"user=system:serviceaccount:{kubectl.namespace}:default" in body


def test_account_with_rights_is_answered(cluster: Cluster, kubectl: Kubectl) -> None:
    """Reading the node's proxy subresource allows /pods, and not /exec."""
    name = kubectl.namespace
    kubectl("create", "serviceaccount", "reader")
    kubectl("create", "clusterrole", name, "--verb=get", "--resource=nodes/proxy")
    kubectl("create", "clusterrolebinding", name, f"--clusterrole={name}", f"--serviceaccount={name}:reader")
    try:
        header = f"Authorization: Bearer {kubectl('create', 'token', 'reader').strip()}"
        assert ask(cluster, "/pods", "-H", header)[0] == 200
        assert ask(cluster, "/exec/a/b/c?command=id", "-H", header, method="POST")[0] == 403
    finally:
        kubectl("delete", f"clusterrole/{name}", f"clusterrolebinding/{name}")


def test_pods_and_running_pods(cluster: Cluster, kubectl: Kubectl, pods: Pods, admin: list[str]) -> None:
    made = pods.run(pod("seen"))[0]
    code, body = ask(cluster, "/pods", *admin)
    assert code == 200
    listed = json.loads(body)
    assert listed["kind"] == "PodList"
    found = [each for each in listed["items"] if each["metadata"]["uid"] == made["metadata"]["uid"]]
    assert len(found) == 1 and found[0]["spec"]["containers"][0]["name"] == "main"

    def listed_as_running() -> list[Json]:
        code, body = ask(cluster, "/runningpods/", *admin)
        assert code == 200
        return [each for each in json.loads(body)["items"] if each["metadata"]["uid"] == made["metadata"]["uid"]]

    running = wait_until("it is listed", listed_as_running, 10)
    assert len(running) == 1
    assert (running[0]["metadata"]["name"], running[0]["metadata"]["namespace"]) == ("seen", kubectl.namespace)
    assert [each["name"] for each in running[0]["spec"]["containers"]] == ["main"]


def test_health_and_unknown_paths(cluster: Cluster, admin: list[str]) -> None:
    code, body = ask(cluster, "/healthz", *admin)
    assert (code, body) == (200, "ok")
    for path in ("/no/such", "/podsx", "/containerLogs", "/exec/a"):
        assert ask(cluster, path, *admin)[0] == 404, path
    assert ask(cluster, "/containerLogs/default/no-such-pod/main", *admin)[0] == 404
    assert ask(cluster, "/exec/default/no-such-pod/main?command=id&output=1", *admin, method="POST")[0] == 404


def test_through_the_api_server(cluster: Cluster, kubectl: Kubectl) -> None:
    assert kubectl("get", "--raw", f"/api/v1/nodes/{cluster.node}/proxy/healthz") == "ok"
    listed = json.loads(kubectl("get", "--raw", f"/api/v1/nodes/{cluster.node}/proxy/pods"))
    assert listed["kind"] == "PodList"


def test_unfinished_requests_do_not_hold_it_up(cluster: Cluster, admin: list[str]) -> None:
    """Connections that send nothing, or nonsense, harm nobody else."""
    one = f"exec 3<>/dev/tcp/{cluster.cluster_ip}/10250; head -c 200 /dev/urandom >&3; sleep 6"
    script = f"for i in $(seq 30); do ({one}) & done; wait"
    with subprocess.Popen(["bash", "-c", script], stderr=subprocess.DEVNULL) as noise:
        assert ask(cluster, "/healthz", *admin) == (200, "ok")
        noise.wait(30)
    assert ask(cluster, "/healthz", *admin) == (200, "ok")
