"""kubectl logs with every option, from containers that run, have ended, or write a lot."""

import re
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from harness.cluster import Cluster
from harness.kubectl import Kubectl
from harness.objects import container, pod
from harness.pods import Pods, container_status
from harness.waiting import wait_until

TICKER = "i=0; while :; do i=$((i+1)); echo line $i; sleep 0.5; done"
STAMP = re.compile(r"^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+(?:Z|[+-]\d\d:\d\d)) (.*)$")


def test_plain_tail_and_limit(kubectl: Kubectl, pods: Pods) -> None:
    script = 'for i in 1 2 3 4 5 6 7 8 9 10; do echo "out $i"; done; echo err >&2; exec sleep 3600'
    pods.run(pod("talk", container(command=script)))
    pods.wait_logs("talk", "out 10")
    text = pods.wait_logs("talk", "err")
    assert [line for line in text.splitlines() if line.startswith("out")] == [f"out {i}" for i in range(1, 11)]
    assert "err" in text.splitlines()
    assert len(pods.logs("talk", "--tail=3").splitlines()) == 3
    assert pods.logs("talk", "--tail=0") == ""
    assert pods.logs("talk", "--tail=100") == text
    assert pods.logs("talk", "--limit-bytes=7") == text[:7]
    for line in pods.logs("talk", "--timestamps").splitlines():
        assert STAMP.match(line), line


def test_follow(kubectl: Kubectl, pods: Pods) -> None:
    script = "for i in 1 2 3 4 5 6; do echo step $i; sleep 1; done"
    kubectl.create(pod("steps", container(command=script), restartPolicy="Never"))
    pods.wait("steps", "has started", lambda each: container_status(each).get("state", {}).get("running"))
    with kubectl.start("logs", "-f", "steps") as follow:
        wait_until("lines arrive while it runs", lambda: "step 3" in follow.stdout, 20, 0.05)
        assert "step 6" not in follow.stdout
        assert follow.wait(30) == 0, "ends by itself when the container has ended"
        assert follow.stdout.splitlines() == [f"step {i}" for i in range(1, 7)]


def test_follow_is_prompt(kubectl: Kubectl, pods: Pods) -> None:
    pods.run(pod("echo", container(command="while read -r line; do echo $line; done", stdin=True)))
    with kubectl.start("logs", "-f", "echo") as follow, kubectl.start("attach", "-i", "echo", stdin=-1) as attached:
        time.sleep(1)
        for word in ("one", "two", "three"):
            sent = time.monotonic()
            attached.send(word + "\n")
            wait_until(f"{word} arrives", lambda word=word: word in follow.stdout, 5, 0.01)
            assert time.monotonic() - sent < 1.5


def test_since(kubectl: Kubectl, pods: Pods) -> None:
    pods.run(pod("ticker", container(command=TICKER)))
    wait_until("it has written for a while", lambda: len(pods.logs("ticker").splitlines()) > 16, 30, 1)
    recent = pods.logs("ticker", "--since=3s").splitlines()
    everything = pods.logs("ticker").splitlines()
    assert 2 <= len(recent) <= 10, recent
    assert recent[-1] in everything or len(everything) > len(recent)
    moment = datetime.now(UTC) - timedelta(seconds=3)
    lines = pods.logs("ticker", f"--since-time={moment:%Y-%m-%dT%H:%M:%SZ}", "--timestamps").splitlines()
    assert 2 <= len(lines) <= 12, lines
    first = STAMP.match(lines[0])
    assert first and first[1][:19] >= f"{moment:%Y-%m-%dT%H:%M:%S}"
    assert pods.logs("ticker", "--since=3s", "--tail=1").splitlines()[0].startswith("line ")
    with kubectl.start("logs", "-f", "--since=1s", "--tail=1", "ticker") as follow:
        wait_until("new lines follow", lambda: len(follow.stdout.splitlines()) >= 3, 10)
        numbers = [int(line.split()[1]) for line in follow.stdout.splitlines()]
        assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))


def test_previous(kubectl: Kubectl, pods: Pods) -> None:
    script = "test -e /data/ran && { echo second; exec sleep 3600; }; touch /data/ran; echo first; exit 1"
    mounts = [{"name": "data", "mountPath": "/data"}]
    kubectl.create(
        pod("twice", container(command=script, volumeMounts=mounts), volumes=[{"name": "data", "emptyDir": {}}])
    )
    pods.wait("twice", "runs again", lambda each: container_status(each).get("restartCount") == 1 and each)
    wait_until("the second run writes", lambda: pods.logs("twice") == "second\n")
    assert pods.logs("twice", "--previous") == "first\n"


def test_errors(kubectl: Kubectl, pods: Pods) -> None:
    pods.run(pod("once"))
    missing = kubectl.run("logs", "once", "--previous", check=False)
    assert missing.returncode == 1
    assert 'previous terminated container "main" in pod "once" not found' in missing.stderr
    wrong = kubectl.run("logs", "once", "-c", "nobody", check=False)
    assert wrong.returncode == 1 and "nobody" in wrong.stderr
    kubectl.create(pod("stuck", container(image="busybox:no-such-tag")))
    pods.wait("stuck", "waits", lambda each: container_status(each).get("state", {}).get("waiting"))
    waiting = kubectl.run("logs", "stuck", check=False)
    assert waiting.returncode == 1
    assert 'container "main" in pod "stuck" is waiting to start' in waiting.stderr


def test_ended_and_init_containers(kubectl: Kubectl, pods: Pods) -> None:
    kubectl.create(
        pod(
            "done",
            container("a", "printf 'from a'"),
            container("b", "echo from b"),
            initContainers=[container("setup", "echo from setup")],
            restartPolicy="Never",
        )
    )
    pods.phase("done", "Succeeded")
    for name, end in (("a", ""), ("b", "\n"), ("setup", "\n")):
        assert pods.logs("done", "-c", name) == f"from {name}{end}"
    every = re.findall(r"\[\S+\] from [a-z]+?(?=\[|\n|$)", pods.logs("done", "--all-containers", "--prefix"))
    assert sorted(every) == ["[pod/done/a] from a", "[pod/done/b] from b", "[pod/done/setup] from setup"]


def test_long_lines(kubectl: Kubectl, pods: Pods) -> None:
    """containerd cuts lines at 16 KiB; a reader puts them together again."""
    script = "head -c 50000 /dev/zero | tr '\\0' x; echo; echo end; exec sleep 3600"
    pods.run(pod("long", container(command=script)))
    text = pods.wait_logs("long", "end")
    assert text == "x" * 50000 + "\nend\n"
    tail = pods.logs("long", "--tail=2")
    assert text.endswith(tail) and tail.endswith("x\nend\n"), "counted in the pieces that are on disk"


def test_rotation(cluster: Cluster, kubectl: Kubectl, pods: Pods) -> None:
    """A log of more than 10 MiB is rotated, and who follows it misses nothing."""
    filler = "x" * 980
    script = (
        f"i=0; while [ $i -lt 14000 ]; do i=$((i+1)); echo $i {filler}; [ $((i % 20)) = 0 ] && sleep 0.03; done;"
        " while :; do i=$((i+1)); echo $i small; sleep 0.5; done"
    )
    uid = pods.run(pod("writer", container(command=script)))[0]["metadata"]["uid"]
    folder = Path(cluster.state) / "nodes" / cluster.node / "pods-log" / f"{kubectl.namespace}_writer_{uid}" / "main"
    with kubectl.start("logs", "-f", "writer") as follow:
        wait_until("the log is rotated", lambda: len(list(folder.iterdir())) >= 2, 90, 1)
        wait_until("all is written", lambda: "small" in follow.stdout[-2000:], 90, 0.5)
        time.sleep(2)
        numbers = [int(line.split()[0]) for line in follow.stdout.splitlines()[:-1]]
    assert numbers == list(range(1, len(numbers) + 1)), f"{len(numbers)} lines, the last is {numbers[-1]}"
    assert len(numbers) > 14000
    newest = pods.logs("writer", "--tail=2").splitlines()
    assert all("small" in line for line in newest)
    sizes = [each.stat().st_size for each in folder.iterdir() if not each.name.endswith(".gz")]
    assert max(sizes) < 16 << 20, sizes
