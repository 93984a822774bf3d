"""kubectl exec, attach and cp."""

import fcntl
import os
import pty
import struct
import subprocess
import termios
import time
from pathlib import Path

from harness.kubectl import Kubectl
from harness.objects import FOREVER, container, pod
from harness.pods import Pods, container_status
from harness.waiting import wait_until


class Terminal:
    """A kubectl on a pseudo-terminal of a given size."""

    def __init__(self, words: list[str], rows: int, columns: int) -> None:
        self.master, slave = pty.openpty()
        self.resize(rows, columns)
        self.process = subprocess.Popen(
            words, stdin=slave, stdout=slave, stderr=slave, start_new_session=True, preexec_fn=self._own_terminal
        )
        os.close(slave)
        os.set_blocking(self.master, False)
        self.text = ""

    @staticmethod
    def _own_terminal() -> None:
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)

    def resize(self, rows: int, columns: int) -> None:
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def send(self, text: str) -> None:
        os.write(self.master, text.encode())

    def read(self) -> str:
        try:
            while data := os.read(self.master, 65536):
                self.text += data.decode(errors="replace")
        except OSError:
            pass
        return self.text

    def expect(self, text: str, seconds: float = 15) -> None:
        wait_until(f"the terminal shows {text!r}", lambda: text in self.read(), seconds, 0.05)

    def __enter__(self) -> "Terminal":
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(10)
        os.close(self.master)


def test_output_and_exit_code(kubectl: Kubectl, pods: Pods) -> None:
    pods.run(pod("box"))
    assert pods.exec("box", "echo", "two  words") == "two  words\n"
    for code in (0, 1, 42, 137):
        done = kubectl.run("exec", "box", "--", "sh", "-c", f"echo out; echo err >&2; exit {code}", check=False)
        assert done.returncode == code
        assert done.stdout == "out\n"
        assert done.stderr.startswith("err\n")
    missing = kubectl.run("exec", "box", "--", "/no/such/command", check=False)
    assert missing.returncode in (1, 126, 127) and "/no/such/command" in missing.stderr
    wrong = kubectl.run("exec", "box", "-c", "nobody", "--", "true", check=False)
    assert wrong.returncode == 1 and "nobody" in wrong.stderr


def test_stdin(kubectl: Kubectl, pods: Pods) -> None:
    pods.run(pod("box"))
    assert kubectl("exec", "-i", "box", "--", "tr", "a-z", "A-Z", stdin="hello\nworld\n") == "HELLO\nWORLD\n"
    data = os.urandom(3 << 20)
    back = subprocess.run(kubectl.words("exec", "-i", "box", "--", "cat"), input=data, capture_output=True, timeout=60)
    assert back.stdout == data, "3 MiB of any bytes go there and back"
    count = kubectl("exec", "-i", "box", "--", "sh", "-c", "wc -c; exit 9", stdin=b"x" * 100_000, check=False)
    assert count.strip() == "100000"


def test_large_output_and_slow_reader(kubectl: Kubectl, pods: Pods) -> None:
    pods.run(pod("box"))
    text = pods.shell("box", "seq 1 400000", deadline=60)
    assert text.splitlines()[-1] == "400000" and len(text.splitlines()) == 400000


def test_many_at_once(kubectl: Kubectl, pods: Pods) -> None:
    pods.run(pod("box"))
    running = [kubectl.start("exec", "box", "--", "sh", "-c", f"sleep 1; echo {i}; exit {i}") for i in range(8)]
    for i, each in enumerate(running):
        assert each.wait(60) == i
        assert each.stdout == f"{i}\n"


def test_terminal(kubectl: Kubectl, pods: Pods) -> None:
    pods.run(pod("box"))
    with Terminal(kubectl.words("exec", "-it", "box", "--", "sh"), 31, 117) as terminal:
        terminal.expect("#")
        terminal.send("tty; stty size\n")
        terminal.expect("/dev/pts/0")
        terminal.expect("31 117")
        terminal.resize(40, 90)
        os.kill(terminal.process.pid, 28)  # SIGWINCH
        time.sleep(0.5)
        terminal.send("stty size\n")
        terminal.expect("40 90")
        terminal.send("sleep 100\n")
        time.sleep(0.5)
        terminal.send("\x03")  # ^C ends the sleep, not the session
        terminal.send("echo still $((40 + 2))\n")
        terminal.expect("still 42")
        terminal.send("exit 7\n")
        assert terminal.process.wait(15) == 7


def test_attach(kubectl: Kubectl, pods: Pods) -> None:
    script = 'echo ready; while read -r line; do echo "got $line"; [ "$line" = end ] && exit 4; done; exit 5'
    pods.run(pod("talk", container(command=script, stdin=True, stdinOnce=True), restartPolicy="Never"))
    with kubectl.start("attach", "-i", "talk", stdin=subprocess.PIPE) as attached:
        time.sleep(1)
        attached.send("one\n")
        wait_until("it answers", lambda: "got one" in attached.stdout, 15)
        attached.send("end\n")
        attached.wait(20)
        assert "got end" in attached.stdout
    pods.phase("talk", "Failed")
    assert container_status(pods.get("talk"))["state"]["terminated"]["exitCode"] == 4
    assert pods.logs("talk") == "ready\ngot one\ngot end\n"


def test_attach_with_terminal(kubectl: Kubectl, pods: Pods) -> None:
    pods.run(pod("shell", container(command=["sh"], stdin=True, tty=True)))
    with Terminal(kubectl.words("attach", "-it", "shell"), 25, 81) as terminal:
        time.sleep(1)
        terminal.send("echo $((6 * 7)); stty size\n")
        terminal.expect("42")
        terminal.expect("25 81")


def test_attach_only_reads(kubectl: Kubectl, pods: Pods) -> None:
    pods.run(pod("ticker", container(command="i=0; while :; do i=$((i+1)); echo tick $i; sleep 0.3; done")))
    with kubectl.start("attach", "ticker") as attached:
        wait_until("output arrives", lambda: attached.stdout.count("tick") >= 3, 20)
    assert container_status(pods.get("ticker"))["restartCount"] == 0


def test_run_with_stdin(kubectl: Kubectl) -> None:
    """kubectl run -i --rm: attach as soon as it runs, exit code, deletion."""
    options = ["--image=busybox:1.36", "-i", "--rm", "--quiet", "--restart=Never"]
    command = ["sh", "-c", "cat; exit 6"]
    done = kubectl.run("run", "quick", *options, "--", *command, stdin="through\n", check=False, deadline=90)
    assert done.returncode == 6, done.stderr
    assert "through" in done.stdout
    wait_until("it is gone", lambda: kubectl.find("pod", "quick") is None, 30)


def test_copy_both_ways(kubectl: Kubectl, pods: Pods, tmp_path: Path) -> None:
    pods.run(pod("box", container(command=FOREVER), container("side", FOREVER)))
    source = tmp_path / "source"
    (source / "deep").mkdir(parents=True)
    (source / "deep" / "data").write_bytes(os.urandom(2 << 20))
    (source / "text").write_text("hello\n", encoding="ascii")
    kubectl("cp", str(source), "box:/tmp/there", "-c", "side")
    assert kubectl("exec", "box", "-c", "side", "--", "cat", "/tmp/there/text") == "hello\n"
    kubectl("cp", "box:/tmp/there", str(tmp_path / "back"), "-c", "side")
    assert (tmp_path / "back" / "deep" / "data").read_bytes() == (source / "deep" / "data").read_bytes()
    assert (tmp_path / "back" / "text").read_text(encoding="ascii") == "hello\n"
    missing = kubectl.run("cp", "box:/no/such", str(tmp_path / "none"), "-c", "side", check=False)
    assert not (tmp_path / "none").exists(), missing
