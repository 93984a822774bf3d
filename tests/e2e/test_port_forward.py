"""kubectl port-forward."""

import re
import socket
import subprocess
from concurrent.futures import ThreadPoolExecutor

from harness.kubectl import Kubectl, Running
from harness.objects import NGINX, container, deployment, pod, service
from harness.pods import Pods
from harness.waiting import wait_until

# In a microVM a server takes its time from its start until it listens.
WEB = container("web", image=NGINX, readinessProbe={"httpGet": {"port": 80}, "periodSeconds": 1})
BIG = "head -c 4000000 /dev/urandom >/usr/share/nginx/html/big; md5sum </usr/share/nginx/html/big"


def local_port(forward: Running) -> int:
    found = wait_until(
        "the port is open", lambda: re.search(r"Forwarding from 127\.0\.0\.1:(\d+)", forward.stdout), 20, 0.05
    )
    return int(found[1])


def fetch(port: int, path: str = "/") -> bytes:
    words = ["curl", "-sS", "-f", "-m", "30", f"http://127.0.0.1:{port}{path}"]
    return subprocess.run(words, capture_output=True, timeout=40, check=False).stdout


def test_pod(kubectl: Kubectl, pods: Pods) -> None:
    pods.run(pod("web", WEB))
    with kubectl.start("port-forward", "pod/web", ":80") as forward:
        port = local_port(forward)
        for _ in range(5):
            assert b"nginx" in fetch(port)


def test_connections_at_once(kubectl: Kubectl, pods: Pods) -> None:
    pods.run(pod("web", WEB))
    digest = pods.shell("web", BIG).split()[0]
    with kubectl.start("port-forward", "pod/web", ":80") as forward:
        port = local_port(forward)
        with ThreadPoolExecutor(8) as pool:
            pages = list(pool.map(lambda _: fetch(port, "/big"), range(16)))
        sums = [
            subprocess.run(["md5sum"], input=page, capture_output=True, check=True).stdout.split()[0] for page in pages
        ]
        assert sums == [digest.encode()] * 16


def test_both_directions_at_once(kubectl: Kubectl, pods: Pods) -> None:
    """An echo: what is sent while answers arrive is not lost."""
    pods.run(pod("echo", container(command="exec nc -ll -p 7000 -e cat")))
    data = bytes(range(256)) * 2000
    with kubectl.start("port-forward", "pod/echo", ":7000") as forward:
        with socket.create_connection(("127.0.0.1", local_port(forward)), timeout=20) as connection:
            with ThreadPoolExecutor(1) as pool:
                sending = pool.submit(lambda: connection.sendall(data))
                received = bytearray()
                while len(received) < len(data) and (chunk := connection.recv(65536)):
                    received += chunk
                sending.result(20)
    assert bytes(received) == data


def test_service_and_closed_port(kubectl: Kubectl, pods: Pods) -> None:
    kubectl.create(deployment("web", 1, WEB), service("web"))
    kubectl("rollout", "status", "deployment/web", "--timeout=60s", deadline=70)
    with kubectl.start("port-forward", "service/web", ":80") as forward:
        assert b"nginx" in fetch(local_port(forward))
    with kubectl.start("port-forward", "deployment/web", ":81") as forward:
        assert fetch(local_port(forward)) == b""
        # A VM is asked only after its host has taken the connection.
        wait_until("kubectl says why", lambda: re.search("connection (refused|reset)", forward.stderr), 20)
