"""Readiness and liveness, by httpGet and exec."""

from harness.cluster import Cluster
from harness.kubectl import Kubectl
from harness.objects import FOREVER, NGINX, container, pod, service
from harness.pods import Pods, condition, container_status, is_ready
from harness.waiting import stays, wait_until


def endpoints(kubectl: Kubectl, name: str) -> list[str]:
    """The addresses of a service that get traffic."""
    found = []
    for each in kubectl.list("endpointslices", f"kubernetes.io/service-name={name}"):
        for endpoint in each.get("endpoints") or []:
            if endpoint["conditions"].get("ready"):
                found += endpoint["addresses"]
    return found


def test_readiness_gates_endpoints(cluster: Cluster, kubectl: Kubectl, pods: Pods) -> None:
    probe = {"exec": {"command": ["test", "-e", "/tmp/ready"]}, "periodSeconds": 1, "failureThreshold": 1}
    kubectl.create(pod("web", container(image=NGINX, readinessProbe=probe)), service("web"))
    running = pods.wait("web", "runs", lambda each: each["status"]["phase"] == "Running")
    assert not is_ready(running)
    assert container_status(running)["started"] is True
    pods.wait_event("web", "Warning", "Unhealthy", "Readiness probe failed:")
    assert endpoints(kubectl, "web") == []
    pods.exec("web", "touch", "/tmp/ready")
    ready = pods.ready("web", 20)
    wait_until("the endpoint is there", lambda: endpoints(kubectl, "web") == [ready["status"]["podIP"]], 20)
    address = kubectl.get("service", "web")["spec"]["clusterIP"]
    wait_until("the service answers", lambda: "nginx" in cluster.http_get(f"http://{address}/"), 20)
    pods.exec("web", "rm", "/tmp/ready")
    pods.wait("web", "is unready", lambda each: not is_ready(each), 20)
    wait_until("the endpoint is gone", lambda: endpoints(kubectl, "web") == [], 20)
    assert container_status(pods.get("web"))["restartCount"] == 0, "readiness restarts nothing"


def test_http_readiness(kubectl: Kubectl, pods: Pods) -> None:
    probe = {"httpGet": {"path": "/healthy", "port": "web"}, "periodSeconds": 1}
    kubectl.create(
        pod("web", container(image=NGINX, readinessProbe=probe, ports=[{"name": "web", "containerPort": 80}]))
    )
    pods.wait_event("web", "Warning", "Unhealthy", "Readiness probe failed: HTTP probe failed with statuscode: 404")
    pods.exec("web", "touch", "/usr/share/nginx/html/healthy")
    pods.ready("web", 20)


def test_http_liveness_restarts(kubectl: Kubectl, pods: Pods) -> None:
    probe = {
        "httpGet": {"path": "/alive", "port": 80},
        "periodSeconds": 1,
        "failureThreshold": 2,
        "initialDelaySeconds": 4,
    }
    start = "touch /usr/share/nginx/html/alive; exec nginx -g 'daemon off;'"
    pods.run(pod("web", container(command=start, image=NGINX, livenessProbe=probe)))
    stays("no restart while it answers", lambda: container_status(pods.get("web"))["restartCount"] == 0, 6)
    pods.exec("web", "rm", "/usr/share/nginx/html/alive")
    again = pods.wait("web", "is restarted", lambda each: container_status(each)["restartCount"] >= 1, 40)
    assert again["status"]["phase"] == "Running"
    pods.wait_event("web", "Warning", "Unhealthy", "Liveness probe failed: HTTP probe failed with statuscode: 404")
    pods.wait_event("web", "Normal", "Killing", "Container main failed liveness probe, will be restarted")
    pods.ready("web", 30)


def test_exec_liveness_restarts(kubectl: Kubectl, pods: Pods) -> None:
    probe = {"exec": {"command": ["sh", "-c", "cat /tmp/alive || { echo it is dead; exit 1; }"]}, "periodSeconds": 1}
    script = "touch /tmp/alive; sleep 5; rm /tmp/alive; exec sleep 3600"
    limits = {"failureThreshold": 1, "terminationGracePeriodSeconds": 1}
    kubectl.create(pod("sick", container(command=script, livenessProbe=probe | limits)))
    again = pods.wait("sick", "is restarted", lambda each: container_status(each).get("restartCount", 0) >= 1, 40)
    assert container_status(again)["lastState"]["terminated"]["exitCode"] == 137
    pods.wait_event("sick", "Warning", "Unhealthy", "it is dead")


def test_liveness_with_never(kubectl: Kubectl, pods: Pods) -> None:
    """Killed, and not started again."""
    probe = {"exec": {"command": ["false"]}, "periodSeconds": 1, "failureThreshold": 1}
    kubectl.create(pod("once", container(command=FOREVER, livenessProbe=probe), restartPolicy="Never"))
    ended = pods.wait("once", "has ended", lambda each: each["status"]["phase"] in ("Failed", "Succeeded"), 40)
    assert container_status(ended)["restartCount"] == 0


def test_slow_probe_times_out(kubectl: Kubectl, pods: Pods) -> None:
    probe = {"exec": {"command": ["sleep", "30"]}, "periodSeconds": 2, "timeoutSeconds": 1}
    kubectl.create(pod("slow", container(command=FOREVER, readinessProbe=probe)))
    pods.wait_event("slow", "Warning", "Unhealthy", "Readiness probe failed")
    assert condition(pods.get("slow"), "Ready")["status"] == "False"
    assert container_status(pods.get("slow"))["restartCount"] == 0
