"""Pods of the RuntimeClass farlet: each in a machine of its own, and out of reach of everything else."""

import json
import os
import platform
import re
from pathlib import Path
from typing import Any

import pytest

from harness.cluster import Cluster
from harness.kubectl import Kubectl
from harness.machines import Machines
from harness.objects import FOREVER, config_map, container, pod
from harness.pods import Pods, container_status, state
from harness.pool import Pool
from harness.waiting import wait_until

Json = dict[str, Any]

pytestmark = [pytest.mark.microvm, pytest.mark.farlet_only, pytest.mark.timeout(240)]

# Under emulation and beside other tests a machine takes its time.
START = 120
BOOT_ID = "cat /proc/sys/kernel/random/boot_id"
MIGHTY = {"runAsUser": 0, "capabilities": {"add": ["ALL"]}}


def machine(name: str, *containers: Json, **fields: Any) -> Json:
    return pod(name, *containers, runtimeClassName="farlet", **fields)


def test_a_machine_of_its_own(kubectl: Kubectl, pods: Pods) -> None:
    pods.run(machine("one", container("main", FOREVER), container("beside", FOREVER)), machine("two"), timeout=START)
    assert pods.shell("two", "uname -r").strip() != platform.release()
    own, beside = (kubectl("exec", "one", "-c", name, "--", "sh", "-c", BOOT_ID) for name in ("main", "beside"))
    assert own == beside, "the containers of a pod share its machine"
    host = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii")
    assert len({own.strip(), pods.shell("two", BOOT_ID).strip(), host.strip()}) == 3
    assert pods.shell("two", "cat /proc/cpuinfo") != Path("/proc/cpuinfo").read_text(encoding="utf-8")
    memory = int(pods.shell("two", "awk '/MemTotal/ {print $2}' /proc/meminfo")) * 1024
    assert memory < os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 4


def test_host_limits(cluster: Cluster, pods: Pods) -> None:
    """What runs on the host for a machine is held there, too: QEMU itself could be the pod's."""
    before = {each.pid for each in Machines(cluster).parts()}
    pods.run(machine("held"), timeout=START)
    made = [each for each in Machines(cluster).parts() if each.pid not in before]
    assert {each.kind for each in made} == {"shim", "qemu", "fileServer"}
    limits = {json.dumps(host_limits(each.pid)) for each in made}
    assert len(limits) == 1, "all stand in the pod's cgroup"
    memory, tasks = json.loads(limits.pop())
    guest = int(pods.shell("held", "awk '/MemTotal/ {print $2}' /proc/meminfo")) * 1024
    assert guest < memory <= 2 * guest + (256 << 20)
    assert tasks == 1024


def host_limits(pid: int) -> tuple[int, int]:
    """Memory and tasks of a process's cgroup, of either version."""
    of = {}
    for line in Path(f"/proc/{pid}/cgroup").read_text(encoding="utf-8").splitlines():
        _, controllers, path = line.split(":", 2)
        for controller in controllers.split(","):
            of[controller] = path
    root = Path("/sys/fs/cgroup")
    if "memory" in of:
        files = (root / f"memory{of['memory']}/memory.limit_in_bytes", root / f"pids{of['pids']}/pids.max")
    else:
        files = (root / f"{of['']}/memory.max".lstrip("/"), root / f"{of['']}/pids.max".lstrip("/"))
    memory, tasks = (int(file.read_text(encoding="ascii")) for file in files)
    return memory, tasks


def test_life(kubectl: Kubectl, pods: Pods) -> None:
    kubectl.create(
        machine(
            "life",
            container(command="echo begun; trap 'echo asked; exit 0' TERM; while :; do sleep 0.2; done"),
            initContainers=[container("before", "echo first")],
        ),
        machine("ends", container(command="exit 7"), restartPolicy="Never"),
    )
    pods.ready("life", START)
    assert pods.logs("life", "-c", "before") == "first\n"
    assert pods.wait_logs("life", "begun") == "begun\n"
    assert kubectl.run("exec", "life", "--", "sh", "-c", "exit 3", check=False).returncode == 3
    assert kubectl("exec", "-i", "life", "--", "cat", stdin="through\n") == "through\n"
    ended = pods.phase("ends", "Failed", START)
    assert state(ended)[1]["exitCode"] == 7
    kubectl("delete", "pod", "life", "--wait=false")
    pods.gone("life", 60)


def test_a_crash_restarts_the_container_and_not_the_machine(kubectl: Kubectl, pods: Pods) -> None:
    command = f"{BOOT_ID}; test -e /keep/once && exec sleep 3600; touch /keep/once; exit 1"
    keep = [{"name": "keep", "mountPath": "/keep"}]
    kubectl.create(
        machine("falls", container(command=command, volumeMounts=keep), volumes=[{"name": "keep", "emptyDir": {}}])
    )

    def restarted(each: Json) -> bool:
        status = container_status(each)
        return status["restartCount"] == 1 and status["ready"]

    again = pods.wait("falls", "runs again", restarted, START)
    assert container_status(again)["lastState"]["terminated"]["exitCode"] == 1
    first = pods.logs("falls", "--previous")
    assert first and pods.wait_logs("falls", first) == first


def test_volumes(kubectl: Kubectl, pods: Pods) -> None:
    """A changed ConfigMap arrives, an emptyDir is shared, and what is read-only stays so."""
    mounts = [{"name": "settings", "mountPath": "/settings"}, {"name": "scratch", "mountPath": "/scratch"}]
    volumes = [{"name": "settings", "configMap": {"name": "settings"}}, {"name": "scratch", "emptyDir": {}}]
    kubectl.create(
        config_map("settings", {"color": "blue"}),
        machine(
            "reader",
            container("main", FOREVER, volumeMounts=mounts),
            container("other", FOREVER, volumeMounts=mounts),
            volumes=volumes,
        ),
    )
    pods.ready("reader", START)
    in_main = ["exec", "reader", "-c", "main", "--", "sh", "-c"]
    assert kubectl(*in_main, "cat /settings/color; echo written > /scratch/file") == "blue"
    assert kubectl("exec", "reader", "-c", "other", "--", "cat", "/scratch/file") == "written\n"
    assert kubectl.run(*in_main, "echo x > /settings/color", check=False).returncode != 0
    token = kubectl(*in_main, "cat /var/run/secrets/kubernetes.io/serviceaccount/token")
    assert token.count(".") == 2
    kubectl("patch", "configmap", "settings", "-p", '{"data": {"color": "green"}}')
    wait_until("the change arrives", lambda: kubectl(*in_main, "cat /settings/color") == "green", 90)


def test_ulimits_and_shared_memory(kubectl: Kubectl, pods: Pods) -> None:
    """What a pod has no field for is an annotation; a large /dev/shm is an emptyDir, as everywhere."""
    shm = {"name": "shm", "emptyDir": {"medium": "Memory", "sizeLimit": "96Mi"}}
    limited = container(
        command="ulimit -Sn; ulimit -Hn; exec sleep 3600", volumeMounts=[{"name": "shm", "mountPath": "/dev/shm"}]
    )
    manifest = machine("limited", limited, volumes=[shm])
    manifest["metadata"]["annotations"] = {"farlet.dev/ulimits": "nofile=2000:3000,memlock=unlimited"}
    wrong = machine("wrong")
    wrong["metadata"]["annotations"] = {"farlet.dev/ulimits": "files=1"}
    kubectl.create(manifest, wrong)
    pods.ready("limited", START)
    assert pods.wait_logs("limited", "3000\n") == "2000\n3000\n"
    assert pods.shell("limited", "ulimit -Sn; ulimit -l") == "2000\nunlimited\n", "an exec has them, too"
    assert int(pods.shell("limited", "df -k /dev/shm | awk 'END {print $2}'")) == 96 * 1024
    assert "MemFree" in pods.shell("limited", "dd if=/dev/zero of=/dev/shm/x bs=1M count=80 && cat /proc/meminfo")

    mistake = 'farlet.dev/ulimits: "files" is the name of no ulimit'
    pods.wait_event("wrong", "Warning", "Failed", mistake, START)


def test_deleted_files_are_given_back(cluster: Cluster, pods: Pods) -> None:
    before = {each.pid for each in Machines(cluster).parts()}
    pods.run(machine("writer"), timeout=START)
    qemu = next(each.pid for each in Machines(cluster).parts() if each.kind == "qemu" and each.pid not in before)
    empty = disk_bytes(qemu)
    pods.shell("writer", "dd if=/dev/urandom of=/file bs=1M count=48 2>/dev/null; sync")
    assert disk_bytes(qemu) >= empty + (48 << 20)
    pods.shell("writer", "rm /file; sync")
    wait_until("the host has it back", lambda: disk_bytes(qemu) < empty + (16 << 20), 60)


def disk_bytes(qemu: int) -> int:
    """What a machine's writable disk, which has no name any more, takes on the host."""
    sizes = []
    for each in Path(f"/proc/{qemu}/fd").iterdir():
        try:
            if ".ext4 (deleted)" in os.readlink(each):
                sizes.append(each.stat().st_blocks * 512)
        except FileNotFoundError:
            continue
    assert sizes
    return max(sizes)


def test_pool(cluster: Cluster, kubectl: Kubectl, pods: Pods) -> None:
    """Who starts while rehearsed machines wait gets one, and nothing in it tells of another life."""
    machines, small = Machines(cluster), 1024
    with Pool(cluster, 2) as pool:
        pods.run(machine("first"), timeout=START)
        waiting = pool.full()
        assert set(waiting.values()) == {small}
        made = pods.run(machine("second"), machine("third"), timeout=START)
        shims = {each.pid for each in machines.parts() if each.kind == "shim"}
        assert set(waiting) <= shims, "both are the pods' by now"
        address = {each["metadata"]["name"]: each["status"]["podIP"] for each in made}
        random = "od -An -N16 -tx1 /dev/urandom"
        for question in (BOOT_ID, random, "cat /sys/class/net/eth0/address"):
            answers = {pods.shell(name, question).strip() for name in ("first", "second", "third")}
            assert len(answers) == 3, question
        for name in ("second", "third"):
            assert pods.shell(name, "hostname").strip() == name
            found = re.findall(r"inet6? ([0-9a-f.:]+)/\d+ .*(?:host|global)", pods.shell(name, "ip addr"))
            assert set(found) <= {address[name], "127.0.0.1", "::1"}, found
            routes = pods.shell(name, "ip route; ip -6 route")
            assert "192.0.2." not in routes and "198.51.100." not in routes and "2001:db8" not in routes, routes
            # Nothing of the time that it waited, stopped.
            assert abs(int(pods.shell(name, "date +%s")) - int(pods.shell("first", "date +%s"))) < 30
            assert "rehearsal" not in pods.shell(name, "cat /proc/mounts; ls -a / /dev/shm")
        assert "10.96.0.1" in pods.shell("second", "nslookup kubernetes.default.svc.cluster.local; true")
        assert limits_of(machines, waiting) == {1024}, "all that is the pod's is in its cgroup"
        for name in ("second", "third"):
            kubectl("delete", "pod", name, "--wait=false")
            pods.gone(name, 60)
        wait_until("a pod's machine is no spare again", lambda: not waiting.keys() & {p.pid for p in machines.parts()}, 30)


def limits_of(machines: Machines, shims: dict[int, int]) -> set[int]:
    """How many tasks the machines of these shims may have, by the cgroup of each of their processes."""
    notes = [note for note in machines.notes() if note["shim"]["pid"] in shims]
    assert len(notes) == len(shims)
    return {host_limits(note[kind]["pid"])[1] for note in notes for kind in ("shim", "qemu", "fileServer")}


def test_pool_refills(cluster: Cluster, kubectl: Kubectl, pods: Pods) -> None:
    """What dies is replaced with the next start, and the sizes that pods have are those that wait."""
    large = {"limits": {"memory": "1500Mi", "cpu": "500m"}}
    with Pool(cluster, 1) as pool:
        pods.run(machine("first"), timeout=START)
        (dead,) = pool.full()
        assert pool.part(dead, "qemu").kill()
        wait_until("the spare ends with its machine", lambda: not pool.waiting(), 30, 0.2)
        pods.run(machine("second"), timeout=START)
        (killed,) = pool.full()
        assert pool.part(killed, "shim").kill()
        pods.run(machine("third"), timeout=START)
        again = wait_until("another waits", lambda: {p: m for p, m in pool.waiting().items() if p != killed}, 60, 0.2)
        assert set(again.values()) == {1024}
        assert not list(Path(cluster.run).glob(f"vm/pool/*/*-{killed}*")), "its socket and its note are gone"
        pods.run(machine("large", container("main", FOREVER, resources=large)), timeout=START)
        wait_until("one of the large ones waits", lambda: set(pool.waiting().values()) == {2048}, 60, 0.2)


def test_network(kubectl: Kubectl, pods: Pods) -> None:
    """Between machines, to and from the containers of the host, by name, and by port-forward's way."""
    serve = "mkdir /www; echo hello from $HOSTNAME > /www/index.html; exec httpd -f -p 8080 -h /www"
    made = pods.run(
        machine("server", container(command=serve)),
        machine("client"),
        pod("plain"),
        pod("plain-server", container(command=serve)),
        timeout=START,
    )
    address = {each["metadata"]["name"]: each["status"]["podIP"] for each in made}
    for client, server in (("client", "server"), ("plain", "server"), ("client", "plain-server")):
        ask = f"printf 'GET / HTTP/1.0\\r\\n\\r\\n' | nc -w 5 {address[server]} 8080 | tail -1"
        fetch = ["exec", client, "--", "sh", "-c", ask]
        said = wait_until(
            f"{client} reaches {server}", lambda words=fetch: kubectl.run(*words, check=False).stdout, 30
        )
        assert said == f"hello from {server}\n"
    assert "10.96.0.1" in pods.shell("client", "nslookup kubernetes.default.svc.cluster.local; true")
    assert pods.shell("client", "hostname").strip() == "client"


def test_out_of_reach(kubectl: Kubectl, pods: Pods) -> None:
    """Root with every capability sees its own machine and nothing of the host or of other pods."""
    secret = f"farlet-secret-{os.getpid()}"
    pods.run(
        machine("victim", container(command=f"echo {secret} > /dev/shm/secret; MARK={secret} exec sleep 3600")),
        machine("intruder", container(command=FOREVER, securityContext=MIGHTY)),
        pod("neighbour", container(command=f"MARK={secret} exec sleep 3601")),
        timeout=START,
    )
    commands = pods.shell("intruder", "cat /proc/[0-9]*/cmdline | tr '\\0' ' '")
    for foreign in ("containerd", "kube-apiserver", "qemu", "sleep 3600", "sleep 3601", "pytest"):
        assert foreign not in commands, commands
    everything = "cat /proc/[0-9]*/environ /dev/shm/* 2>/dev/null | tr '\\0' '\\n'; true"
    assert secret not in pods.shell("intruder", everything)
    assert f"Linux version {platform.release()}" not in pods.shell("intruder", "dmesg")
    mounts = pods.shell("intruder", "cat /proc/self/mountinfo")
    assert "containerd" not in mounts and "kubelet" not in mounts, mounts
    # The interfaces of one machine: its loopback and its one card.
    links = re.findall(r"^\d+: ([^:@]+)", pods.shell("intruder", "ip -o link"), re.MULTILINE)
    assert sorted(links) == ["eth0", "lo"], links
    # A disk of the host would have its size; what is here are the pod's own slots.
    host_disks = [each for each in os.listdir("/sys/block") if not each.startswith(("loop", "ram"))]
    partitions = pods.shell("intruder", "cat /proc/partitions")
    sizes = {int(line.split()[2]) for line in partitions.splitlines()[2:]}
    for disk in host_disks:
        blocks = int(Path(f"/sys/block/{disk}/size").read_text(encoding="ascii")) // 2
        assert blocks not in sizes, f"{disk} of the host is visible: {partitions}"
    # Its own kernel is the one that it can hurt.
    host_panic = Path("/proc/sys/kernel/panic").read_text(encoding="ascii")
    pods.shell("intruder", "mount -o remount,rw /proc/sys && echo 4711 > /proc/sys/kernel/panic")
    assert pods.shell("intruder", "cat /proc/sys/kernel/panic").strip() == "4711"
    assert pods.shell("victim", "cat /proc/sys/kernel/panic").strip() != "4711"
    assert Path("/proc/sys/kernel/panic").read_text(encoding="ascii") == host_panic
