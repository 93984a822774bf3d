"""Unchanged workloads: Deployment and Service, configuration from a Secret, Job, rolling update."""

from typing import Any

from harness.cluster import Cluster
from harness.kubectl import Kubectl
from harness.objects import BUSYBOX, NGINX, container, deployment, pod, secret, service
from harness.pods import Pods, is_ready
from harness.waiting import wait_until

Json = dict[str, Any]
WEB = container("web", image=NGINX, ports=[{"containerPort": 80}])
PROBED_WEB = WEB | {"readinessProbe": {"httpGet": {"path": "/", "port": 80}, "periodSeconds": 1}}


def roll_out(kubectl: Kubectl, name: str, seconds: int = 90) -> None:
    kubectl("rollout", "status", f"deployment/{name}", f"--timeout={seconds}s", deadline=seconds + 10)


def test_deployment_and_service(cluster: Cluster, kubectl: Kubectl, pods: Pods) -> None:
    kubectl.create(deployment("web", 3, PROBED_WEB), service("web"))
    roll_out(kubectl, "web")
    replicas = kubectl.list("pods", "app=web")
    assert len(replicas) == 3
    assert {each["spec"]["nodeName"] for each in replicas} == {cluster.node}
    assert all(is_ready(each) for each in replicas)
    addresses = {each["status"]["podIP"] for each in replicas}
    assert len(addresses) == 3, "each pod has an address of its own"
    for address in addresses:
        assert "nginx" in cluster.http_get(f"http://{address}/"), f"pod {address} answers in the cluster's network"

    # The Service, by address from the node's network, and by name from another pod.
    address = kubectl.get("service", "web")["spec"]["clusterIP"]
    wait_until("the service answers", lambda: "nginx" in cluster.http_get(f"http://{address}/"), 20)
    pods.run(pod("client"))
    wait_until("it answers by its short name", lambda: "nginx" in get_by_name(pods, "client", "web"), 30)
    full = f"web.{kubectl.namespace}.svc.{cluster.cluster_domain}"
    assert "nginx" in get_by_name(pods, "client", full)


def get_by_name(pods: Pods, client: str, name: str) -> str:
    """The page of http://name/, asked for inside a pod. With nslookup and nc, because the wget of Debian's
    static busybox crashes where there are no shared libraries."""
    script = (
        f"address=$(nslookup {name} | sed -n 's/^Address: *\\([0-9.]*\\)$/\\1/p' | tail -n 1)"
        r""" && printf 'GET / HTTP/1.0\r\n\r\n' | nc -w 3 "$address" 80"""
    )
    return pods.shell(client, script, check=False)


def test_scale_up_and_down(kubectl: Kubectl) -> None:
    kubectl.create(deployment("web", 1, WEB))
    roll_out(kubectl, "web")
    kubectl("scale", "deployment/web", "--replicas=4")
    roll_out(kubectl, "web")
    assert len(kubectl.list("pods", "app=web")) == 4
    kubectl("scale", "deployment/web", "--replicas=0")
    wait_until("all pods are gone", lambda: not kubectl.list("pods", "app=web"), 60)


def test_deployment_with_secret_key(kubectl: Kubectl, pods: Pods) -> None:
    kubectl.create(secret("db", {"password": "s3cr3t words"}))
    env = [{"name": "PASSWORD", "valueFrom": {"secretKeyRef": {"name": "db", "key": "password"}}}]
    script = 'echo "password=$PASSWORD"; exec sleep 3600'
    kubectl.create(deployment("app", 1, container(command=script, env=env)))
    roll_out(kubectl, "app")
    wait_until("the log holds it", lambda: "password=s3cr3t words" in kubectl("logs", "deployment/app"), 10)


def test_pod_waits_for_its_secret(kubectl: Kubectl, pods: Pods) -> None:
    env = [{"name": "PASSWORD", "valueFrom": {"secretKeyRef": {"name": "late", "key": "password"}}}]
    kubectl.create(pod("app", container(command="echo got $PASSWORD; exec sleep 3600", env=env)))
    waiting = pods.wait(
        "app",
        "waits for its secret",
        lambda each: (
            each["status"]["containerStatuses"][0]["state"]["waiting"]["reason"] == "CreateContainerConfigError"
        ),
    )
    assert waiting["status"]["phase"] == "Pending"
    message = waiting["status"]["containerStatuses"][0]["state"]["waiting"]["message"]
    assert message == 'secret "late" not found'
    pods.wait_event("app", "Warning", "Failed", 'Error: secret "late" not found')
    kubectl.create(secret("late", {"password": "now"}))
    pods.ready("app", 90)
    pods.wait_logs("app", "got now")


def test_job_that_completes(kubectl: Kubectl) -> None:
    kubectl.create(job("sum", "echo $((6 * 7))", completions=3, parallelism=2))
    kubectl("wait", "--for=condition=complete", "job/sum", "--timeout=60s", deadline=70)
    done = kubectl.list("pods", "job-name=sum")
    assert [each["status"]["phase"] for each in done] == ["Succeeded"] * 3
    for each in done:
        terminated = each["status"]["containerStatuses"][0]["state"]["terminated"]
        assert (terminated["exitCode"], terminated["reason"]) == (0, "Completed")
        assert kubectl("logs", each["metadata"]["name"]).strip() == "42"


def test_job_that_gives_up(kubectl: Kubectl) -> None:
    """backoffLimit 2 and Never: three pods, all Failed, none of them restarted."""
    kubectl.create(job("broken", "echo oops >&2; exit 3", backoffLimit=2))
    kubectl("wait", "--for=condition=failed", "job/broken", "--timeout=120s", deadline=130)
    status = kubectl.get("job", "broken")["status"]
    assert [each["reason"] for each in status["conditions"] if each["type"] == "Failed"] == ["BackoffLimitExceeded"]
    assert status["failed"] == 3
    failed = kubectl.list("pods", "job-name=broken")
    assert len(failed) == 3
    for each in failed:
        assert each["status"]["phase"] == "Failed"
        container_status = each["status"]["containerStatuses"][0]
        assert container_status["restartCount"] == 0
        terminated = container_status["state"]["terminated"]
        assert (terminated["exitCode"], terminated["reason"]) == (3, "Error")
        assert "oops" in kubectl("logs", each["metadata"]["name"])


def job(name: str, script: str, **fields: Any) -> Json:
    spec = pod("unused", container(command=script), restartPolicy="Never")["spec"]
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name},
        "spec": {"template": {"spec": spec}, **fields},
    }


def test_rolling_update(cluster: Cluster, kubectl: Kubectl) -> None:
    kubectl.create(deployment("web", 3, PROBED_WEB), service("web"))
    roll_out(kubectl, "web")
    before = {each["metadata"]["uid"] for each in kubectl.list("pods", "app=web")}
    kubectl("set", "image", "deployment/web", "web=nginx:latest")
    roll_out(kubectl, "web")
    wait_until("the old pods are gone", lambda: len(kubectl.list("pods", "app=web")) == 3, 60)
    after = kubectl.list("pods", "app=web")
    assert not before & {each["metadata"]["uid"] for each in after}
    for each in after:
        status = each["status"]["containerStatuses"][0]
        assert each["spec"]["containers"][0]["image"] == "nginx:latest"
        assert status["image"].endswith("nginx:latest"), status["image"]
    address = kubectl.get("service", "web")["spec"]["clusterIP"]
    wait_until("the service answers", lambda: "nginx" in cluster.http_get(f"http://{address}/"), 20)
    kubectl("rollout", "undo", "deployment/web")
    roll_out(kubectl, "web")


def test_update_that_never_becomes_ready_keeps_the_old(kubectl: Kubectl, pods: Pods) -> None:
    kubectl.create(deployment("app", 2, container(command="exec sleep 3600", image=BUSYBOX)))
    roll_out(kubectl, "app")
    old = {each["metadata"]["name"] for each in kubectl.list("pods", "app=app")}
    kubectl("set", "image", "deployment/app", "main=busybox:no-such-tag")
    wait_until(
        "a new pod fails to pull",
        lambda: any(
            each["status"].get("containerStatuses", [{}])[0].get("state", {}).get("waiting", {}).get("reason")
            in ("ErrImagePull", "ImagePullBackOff")
            for each in kubectl.list("pods", "app=app")
        ),
    )
    ready = {each["metadata"]["name"] for each in kubectl.list("pods", "app=app") if is_ready(each)}
    assert ready == old, "both old pods serve on"
    kubectl("rollout", "undo", "deployment/app")
    roll_out(kubectl, "app")
    assert {each["metadata"]["name"] for each in kubectl.list("pods", "app=app") if is_ready(each)} == old
