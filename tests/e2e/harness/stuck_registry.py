"""A registry that accepts connections and never answers, in the node's network: a pull that hangs."""

import subprocess
import sys

from .cluster import Cluster

SERVER = """
import socket, sys
server = socket.socket()
server.bind(("127.0.0.1", 0))
server.listen(64)
print(server.getsockname()[1], flush=True)
held = []
while True:
    held.append(server.accept())
"""


class StuckRegistry:
    def __init__(self, cluster: Cluster) -> None:
        words = ["nsenter", f"--net=/run/netns/{cluster.netns}", "--", sys.executable, "-c", SERVER]
        self._process = subprocess.Popen(words, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL)
        assert self._process.stdout is not None
        self.image = f"127.0.0.1:{int(self._process.stdout.readline())}/stuck:1"

    def __enter__(self) -> "StuckRegistry":
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
