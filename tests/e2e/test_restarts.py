"""What happens when containers end: crash loops, restart policies, phases."""

from datetime import datetime
from typing import Any

from harness.api import Api, Watch
from harness.cluster import Cluster
from harness.kubectl import Kubectl
from harness.objects import container, pod
from harness.pods import Pods, condition, container_status, reason, state
from harness.waiting import wait_until

Json = dict[str, Any]


def seconds_between(earlier: str, later: str) -> float:
    return (datetime.fromisoformat(later) - datetime.fromisoformat(earlier)).total_seconds()


def test_crash_loop(cluster: Cluster, kubectl: Kubectl, pods: Pods) -> None:
    """A watch sees every state: a kubelet shows CrashLoopBackOff for a moment only, at times."""
    api = Api(cluster)
    with Watch(api, f"/api/v1/namespaces/{kubectl.namespace}/pods") as watch:
        kubectl.create(pod("crash", container(command="echo run; exit 7")))
        pods.wait(
            "crash", "is restarted three times", lambda each: container_status(each).get("restartCount", 0) >= 3, 90
        )
        wait_until("the fourth run is over", lambda: len(runs_of(watch)) >= 4, 30)
        waiting = [change.thing for change in watch.of("crash") if reason(change.thing) == "CrashLoopBackOff"]
        runs = runs_of(watch)
    assert waiting, "CrashLoopBackOff was shown"
    for looping in waiting:
        check_back_off(looping, kubectl.namespace)
    pauses = [seconds_between(runs[i][1], runs[i + 1][0]) for i in range(3)]
    assert pauses[0] <= 4, f"the first restart comes at once: {pauses}"
    assert 9 <= pauses[1] <= 18, f"the second restart comes after 10 s: {pauses}"
    assert 19 <= pauses[2] <= 32, f"the third restart comes after 20 s: {pauses}"
    where = f"main in pod crash_{kubectl.namespace}({waiting[0]['metadata']['uid']})"
    pods.wait_event("crash", "Warning", "BackOff", f"Back-off restarting failed container {where}")
    wait_until("the log is there", lambda: pods.logs("crash") == "run\n", 20)


def check_back_off(looping: Json, namespace: str) -> None:
    status = container_status(looping)
    last = status["lastState"]["terminated"]
    assert looping["status"]["phase"] == "Running"
    assert (last["exitCode"], last["reason"]) == (7, "Error")
    assert last["containerID"] == status["containerID"]
    assert status["ready"] is False and status["started"] is False
    ready = condition(looping, "Ready")
    assert (ready["status"], ready["reason"]) == ("False", "ContainersNotReady")
    assert ready["message"] == "containers with unready status: [main]"
    seconds = {1: 10, 2: 20, 3: 40}[status["restartCount"]]
    assert status["state"]["waiting"]["message"] == (
        f"back-off {seconds}s restarting failed container=main pod=crash_{namespace}({looping['metadata']['uid']})"
    )


def runs_of(watch: Watch) -> list[tuple[str, str]]:
    """Start and end of every run, in their order."""
    found: dict[str, tuple[str, str]] = {}
    for change in watch.of("crash"):
        for kind in ("state", "lastState"):
            ended = container_status(change.thing).get(kind, {}).get("terminated")
            if ended:
                found[ended["containerID"]] = (ended["startedAt"], ended["finishedAt"])
    return sorted(found.values())


def test_restart_policy_always_restarts_success(kubectl: Kubectl, pods: Pods) -> None:
    kubectl.create(pod("again", container(command="sleep 1; exit 0")))
    again = pods.wait("again", "is restarted", lambda each: container_status(each).get("restartCount", 0) >= 1)
    last = container_status(again)["lastState"]["terminated"]
    assert (last["exitCode"], last["reason"]) == (0, "Completed")


def test_on_failure_restarts_until_success(kubectl: Kubectl, pods: Pods) -> None:
    """Fails once, then succeeds: the emptyDir outlives the container."""
    script = "test -e /data/ran && exit 0; touch /data/ran; exit 5"
    mounts = [{"name": "data", "mountPath": "/data"}]
    kubectl.create(
        pod(
            "retry",
            container(command=script, volumeMounts=mounts),
            restartPolicy="OnFailure",
            volumes=[{"name": "data", "emptyDir": {}}],
        )
    )
    done = pods.phase("retry", "Succeeded")
    status = container_status(done)
    assert status["restartCount"] == 1
    assert status["state"]["terminated"]["exitCode"] == 0
    assert status["lastState"]["terminated"]["exitCode"] == 5
    assert condition(done, "Ready")["reason"] == "PodCompleted"
    assert condition(done, "Initialized")["status"] == "True"


def test_never_keeps_the_exit_code(kubectl: Kubectl, pods: Pods) -> None:
    kubectl.create(
        pod("good", container(command="exit 0"), restartPolicy="Never"),
        pod("bad", container(command="exit 42"), restartPolicy="Never"),
        pod("mixed", container("a", "exit 0"), container("b", "exit 1"), restartPolicy="Never"),
        # A child of PID 1 dies of SIGKILL, and the shell passes that on. $$$$ is $$ after expansion.
        pod("killed", container(command="sh -c 'kill -KILL $$$$'; exit $?"), restartPolicy="Never"),
    )
    good, bad = pods.phase("good", "Succeeded"), pods.phase("bad", "Failed")
    mixed, killed = pods.phase("mixed", "Failed"), pods.phase("killed", "Failed")
    assert container_status(good)["state"]["terminated"]["reason"] == "Completed"
    terminated = container_status(bad)["state"]["terminated"]
    assert (terminated["exitCode"], terminated["reason"]) == (42, "Error")
    assert terminated["startedAt"] <= terminated["finishedAt"]
    assert terminated["containerID"].startswith("containerd://")
    assert condition(bad, "Ready")["reason"] == "PodFailed"
    assert [state(mixed, name)[1]["exitCode"] for name in "ab"] == [0, 1]
    assert state(killed)[1]["exitCode"] == 137
    for each in (good, bad, mixed, killed):
        assert all(status["restartCount"] == 0 for status in each["status"]["containerStatuses"])


def test_one_container_restarts_and_its_neighbour_stays(kubectl: Kubectl, pods: Pods) -> None:
    kubectl.create(pod("two", container("stays", "exec sleep 3600"), container("falls", "sleep 2; exit 1")))
    first = pods.wait("two", "runs", lambda each: state(each, "stays")[0] == "running")
    after = pods.wait("two", "restarts one", lambda each: container_status(each, "falls").get("restartCount", 0) >= 1)
    stays = [container_status(each, "stays") for each in (first, after)]
    assert stays[0]["containerID"] == stays[1]["containerID"]
    assert stays[1]["restartCount"] == 0


def test_command_that_does_not_exist(kubectl: Kubectl, pods: Pods) -> None:
    kubectl.create(pod("lost", container(command=["/no/such/command"])))
    lost = pods.wait(
        "lost", "reports it", lambda each: container_status(each).get("lastState", {}).get("terminated"), 60
    )
    last = container_status(lost)["lastState"]["terminated"]
    assert (last["reason"], last["exitCode"]) == ("StartError", 128)
    assert "/no/such/command" in last["message"]
    pods.wait_event("lost", "Warning", "Failed", "/no/such/command")
