"""Environment and volumes: what a pod is told, and that changes arrive."""

import json
from typing import Any

from harness.cluster import Cluster
from harness.kubectl import Kubectl
from harness.objects import FOREVER, config_map, container, pod, secret
from harness.pods import Pods, reason
from harness.waiting import wait_until

Json = dict[str, Any]
TOKEN_DIR = "/var/run/secrets/kubernetes.io/serviceaccount"


def from_key(kind: str, name: str, key: str, **fields: Any) -> Json:
    return {"valueFrom": {kind: {"name": name, "key": key, **fields}}}


def test_environment(kubectl: Kubectl, pods: Pods) -> None:
    kubectl.create(
        config_map("settings", {"color": "blue", "size": "10"}),
        secret("keys", {"token": "t0ken"}),
        pod(
            "env",
            container(
                command=["sh", "-c", "env; echo arg=$0; exec sleep 3600", "$(GREETING) and $$(GREETING) and $(NOBODY)"],
                env=[
                    {"name": "PLAIN", "value": 'a value with spaces and "quotes"'},
                    {"name": "EMPTY", "value": ""},
                    {"name": "COLOR", **from_key("configMapKeyRef", "settings", "color")},
                    {"name": "TOKEN", **from_key("secretKeyRef", "keys", "token")},
                    {"name": "ABSENT", **from_key("secretKeyRef", "keys", "nothing", optional=True)},
                    {"name": "GREETING", "value": "hello $(COLOR) $(NOBODY) $$(COLOR) $$"},
                    {"name": "BACKWARDS", "value": "$(LATER)"},
                    {"name": "LATER", "value": "x"},
                ],
            ),
        ),
    )
    pods.ready("env")
    log = pods.wait_logs("env", "arg=")
    lines = log.splitlines()
    for line in (
        'PLAIN=a value with spaces and "quotes"',
        "EMPTY=",
        "COLOR=blue",
        "TOKEN=t0ken",
        "GREETING=hello blue $(NOBODY) $(COLOR) $",
        "BACKWARDS=$(LATER)",
        "LATER=x",
        "HOSTNAME=env",
        "KUBERNETES_SERVICE_HOST=10.96.0.1",
        "KUBERNETES_SERVICE_PORT=443",
        "KUBERNETES_PORT_443_TCP_ADDR=10.96.0.1",
        "arg=hello blue $(NOBODY) $(COLOR) $ and $(GREETING) and $(NOBODY)",
    ):
        assert line in lines, f"{line!r} is not in {lines}"
    assert not any(line.startswith("ABSENT") for line in lines)


def test_missing_key_is_named(kubectl: Kubectl, pods: Pods) -> None:
    kubectl.create(
        config_map("settings", {"color": "blue"}),
        pod("key", container(env=[{"name": "X", **from_key("configMapKeyRef", "settings", "shape")}], command=FOREVER)),
    )
    waiting = pods.wait("key", "says so", lambda each: reason(each) == "CreateContainerConfigError")
    message = waiting["status"]["containerStatuses"][0]["state"]["waiting"]["message"]
    assert message == f"couldn't find key shape in ConfigMap {kubectl.namespace}/settings"


def test_config_map_and_secret_volumes(kubectl: Kubectl, pods: Pods) -> None:
    """Modes and chosen keys; then a change arrives while the pod runs."""
    volumes = [
        {"name": "all", "configMap": {"name": "files"}},
        {
            "name": "some",
            "configMap": {"name": "files", "items": [{"key": "a.txt", "path": "sub/renamed", "mode": 0o400}]},
        },
        {"name": "hidden", "secret": {"secretName": "keys", "defaultMode": 0o440}},
        {"name": "perhaps", "secret": {"secretName": "no-such-secret", "optional": True}},
    ]
    mounts = [{"name": each["name"], "mountPath": f"/in/{each['name']}"} for each in volumes]
    kubectl.create(
        config_map("files", {"a.txt": "first a", "b.txt": "first b"}),
        secret("keys", {"password": "first secret"}),
        pod("reader", container(command=FOREVER, volumeMounts=mounts), volumes=volumes),
    )
    pods.ready("reader")
    assert pods.shell("reader", "cat /in/all/a.txt /in/all/b.txt") == "first afirst b"
    assert pods.shell("reader", "ls /in/all").split() == ["a.txt", "b.txt"]
    assert pods.shell("reader", "ls /in/some /in/perhaps").split() == ["/in/perhaps:", "/in/some:", "sub"]
    assert pods.shell("reader", "stat -L -c %a /in/some/sub/renamed /in/hidden/password /in/all/a.txt").split() == [
        "400",
        "440",
        "644",
    ]
    assert pods.shell("reader", "cat /in/hidden/password") == "first secret"
    refused = kubectl.run("exec", "reader", "--", "touch", "/in/all/new", check=False)
    assert refused.returncode == 1 and "Read-only file system" in refused.stderr

    kubectl.replace(config_map("files", {"a.txt": "second a", "c.txt": "new"}), secret("keys", {"password": "second"}))
    # A kubelet needs up to a minute and a half.
    wait_until("the changed ConfigMap arrives", lambda: pods.shell("reader", "cat /in/all/a.txt") == "second a", 110, 1)
    assert pods.shell("reader", "ls /in/all").split() == ["a.txt", "c.txt"]
    wait_until(
        "the changed Secret arrives", lambda: pods.shell("reader", "cat /in/hidden/password") == "second", 110, 1
    )
    assert pods.shell("reader", "cat /in/some/sub/renamed") == "second a"


def test_missing_config_map_is_waited_for(kubectl: Kubectl, pods: Pods) -> None:
    volumes = [{"name": "files", "configMap": {"name": "late"}}]
    kubectl.create(
        pod(
            "patient", container(command=FOREVER, volumeMounts=[{"name": "files", "mountPath": "/in"}]), volumes=volumes
        )
    )
    pods.wait_event(
        "patient", "Warning", "FailedMount", 'MountVolume.SetUp failed for volume "files" : configmap "late" not found'
    )
    pods.wait("patient", "says that it waits", lambda each: reason(each) == "ContainerCreating", 10)
    kubectl.create(config_map("late", {"key": "value"}))
    pods.ready("patient", 120)
    assert pods.shell("patient", "cat /in/key") == "value"


def test_empty_dir_is_shared(kubectl: Kubectl, pods: Pods) -> None:
    mounts = [{"name": "disk", "mountPath": "/disk"}, {"name": "memory", "mountPath": "/memory"}]
    kubectl.create(
        pod(
            "shared",
            container(
                "writer", "echo hello >/disk/file; trap exit TERM; while :; do sleep 0.2; done", volumeMounts=mounts
            ),
            container("reader", FOREVER, volumeMounts=mounts),
            volumes=[{"name": "disk", "emptyDir": {}}, {"name": "memory", "emptyDir": {"medium": "Memory"}}],
        )
    )
    pods.ready("shared")
    assert kubectl("exec", "shared", "-c", "reader", "--", "cat", "/disk/file") == "hello\n"
    assert kubectl("exec", "shared", "-c", "reader", "--", "stat", "-c", "%a", "/disk").strip() == "777"
    mounted = kubectl("exec", "shared", "-c", "reader", "--", "grep", " /memory ", "/proc/mounts")
    assert mounted.split()[2] == "tmpfs"


def test_service_account_token(cluster: Cluster, kubectl: Kubectl, pods: Pods) -> None:
    """The token in the pod authenticates as the pod's account and is bound to the pod."""
    created = pods.run(pod("app"))[0]
    assert pods.shell("app", f"ls {TOKEN_DIR}").split() == ["ca.crt", "namespace", "token"]
    assert pods.exec("app", "cat", f"{TOKEN_DIR}/namespace") == kubectl.namespace
    with open(cluster.ca_file, encoding="ascii") as file:
        assert pods.exec("app", "cat", f"{TOKEN_DIR}/ca.crt").strip() == file.read().strip()
    token = pods.exec("app", "cat", f"{TOKEN_DIR}/token")
    review = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": {"token": token}}
    answer = json.loads(kubectl("create", "-o", "json", "-f", "-", stdin=json.dumps(review)))["status"]
    assert answer["authenticated"] is True
    user = answer["user"]
    assert user["username"] == f"system:serviceaccount:{kubectl.namespace}:default"
    assert user["extra"]["authentication.kubernetes.io/pod-uid"] == [created["metadata"]["uid"]]
    script = (
        f'curl -sS --cacert {cluster.ca_file} -H "Authorization: Bearer $0" -o /dev/null -w "%{{http_code}}" '
        f"{cluster.api_server}/api/v1/namespaces/{kubectl.namespace}/pods"
    )
    code = cluster.in_network("bash", "-c", script, token).stdout
    assert code == "403", "known, and not allowed to list pods"


def test_no_token_when_not_wanted(kubectl: Kubectl, pods: Pods) -> None:
    pods.run(pod("app", automountServiceAccountToken=False))
    assert kubectl.run("exec", "app", "--", "ls", TOKEN_DIR, check=False).returncode == 1


def test_hosts_and_names(kubectl: Kubectl, pods: Pods) -> None:
    kubectl.create(pod("named"))
    address = pods.ready("named")["status"]["podIP"]
    hosts = pods.exec("named", "cat", "/etc/hosts")
    assert hosts.startswith("# Kubernetes-managed hosts file.\n127.0.0.1\tlocalhost\n")
    assert f"{address}\tnamed\n" in hosts
    assert pods.exec("named", "hostname").strip() == "named"
    resolver = pods.exec("named", "cat", "/etc/resolv.conf")
    namespace = kubectl.namespace
    assert "nameserver 10.96.0.10\n" in resolver
    assert f"search {namespace}.svc.cluster.local svc.cluster.local cluster.local" in resolver
    assert "options ndots:5" in resolver
