"""The Kubernetes API over kept-alive connections, and watches whose arrivals are timed.

For what kubectl is too slow for: measuring, and seeing every version of an object.
"""

import base64
import http.client
import json
import ssl
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from .cluster import Cluster

Json = dict[str, Any]


class ApiError(Exception):
    def __init__(self, code: int, text: str) -> None:
        super().__init__(f"HTTP {code}: {text[:500]}")
        self.code = code


class Api:
    """One thread, one connection: each thread gets its own by itself."""

    def __init__(self, cluster: Cluster) -> None:
        words = [cluster.kubectl_binary, "--kubeconfig", cluster.kubeconfig, "config", "view", "--raw", "-o", "json"]
        config = json.loads(subprocess.run(words, capture_output=True, check=True).stdout)
        server, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
        address = urlsplit(server["server"])
        self._host, self._port = address.hostname or "", address.port or 443
        self._tls = ssl.create_default_context(cadata=base64.b64decode(server["certificate-authority-data"]).decode())
        with tempfile.NamedTemporaryFile() as both:
            for part in ("client-certificate-data", "client-key-data"):
                both.write(base64.b64decode(user[part]))
            both.flush()
            self._tls.load_cert_chain(both.name)
        self._local = threading.local()

    def connect(self, timeout: float = 60) -> http.client.HTTPSConnection:
        return http.client.HTTPSConnection(self._host, self._port, timeout=timeout, context=self._tls)

    def raw(self, method: str, path: str, body: Any = None, kind: str = "application/json") -> bytes:
        data = None if body is None else json.dumps(body).encode()
        for attempt in range(2):
            connection = getattr(self._local, "connection", None)
            if connection is None:
                connection = self._local.connection = self.connect()
            try:
                connection.request(method, path, data, {"Content-Type": kind, "Accept": "application/json"})
                response = connection.getresponse()
                text = response.read()
            except (OSError, http.client.HTTPException):
                # The server has closed a connection that was idle.
                self._local.connection = None
                if attempt:
                    raise
                continue
            if response.status >= 400:
                raise ApiError(response.status, text.decode(errors="replace"))
            return text
        raise AssertionError("unreachable")

    def __call__(self, method: str, path: str, body: Any = None) -> Json:
        return json.loads(self.raw(method, path, body))


@dataclass(frozen=True)
class Change:
    at: float  # time.time() of its arrival
    kind: str  # ADDED, MODIFIED, DELETED
    thing: Json

    @property
    def name(self) -> str:
        return self.thing["metadata"]["name"]


class Watch:
    """Collects every change of a collection, from now on. Use it in a `with`.

    A connection that breaks is made again, from where it was.
    """

    def __init__(self, api: Api, path: str, each: Callable[[Change], None] | None = None) -> None:
        self.changes: list[Change] = []
        self._each = each
        self._api = api
        self._path = f"{path}{'&' if '?' in path else '?'}watch=1&timeoutSeconds=3000"
        listed = api("GET", path)
        self.start_items: list[Json] = listed.get("items", [])
        self._version = listed["metadata"]["resourceVersion"]
        self._closed = False
        self._connect()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _connect(self) -> None:
        self._connection = self._api.connect(timeout=3600)
        self._connection.request("GET", f"{self._path}&resourceVersion={self._version}")
        self._response = self._connection.getresponse()
        if self._response.status != 200:
            raise ApiError(self._response.status, self._response.read().decode(errors="replace"))

    def _reconnects(self) -> bool:
        try:
            self._connect()
        except (OSError, http.client.HTTPException):
            return False
        return True

    def _run(self) -> None:
        while not self._closed:
            why = "it ended"
            try:
                self._read()
            except (OSError, ValueError, AttributeError, http.client.HTTPException) as error:
                why = repr(error)
            if not self._closed:
                print(f"watch of {self._path} is made again: {why}", flush=True)
            while not self._closed and not self._reconnects():
                time.sleep(0.2)

    def _read(self) -> None:
        while line := self._response.readline():
            now = time.time()
            event = json.loads(line)
            change = Change(now, event["type"], event["object"])
            self._version = change.thing["metadata"]["resourceVersion"]
            self.changes.append(change)
            if self._each:
                self._each(change)

    def of(self, name: str) -> Iterator[Change]:
        return (change for change in list(self.changes) if change.name == name)

    def __enter__(self) -> "Watch":
        return self

    def __exit__(self, *_: object) -> None:
        self._closed = True
        if self._connection.sock:
            self._connection.sock.shutdown(2)
        self._thread.join(5)
        self._connection.close()
