"""The kernel's Debian package: where it comes from and what is in it."""
import hashlib
import pathlib
import subprocess

from failure import Failure

META_PACKAGE = "linux-image-cloud-amd64"


def find(given, cache):
    """The package file: the one that was given, or the newest that apt knows, downloaded once."""
    if given:
        path = pathlib.Path(given)
        if not path.is_file():
            raise Failure(f"--deb {given}: no such file")
        return path
    name = _newest_kernel()
    facts = _apt_facts(name)
    path = cache / f"{name}_{facts['Version'].replace(':', '%3a')}_amd64.deb"
    if not _matches(path, facts["SHA256"]):
        _download(name, facts, path)
    return path


def unpack(deb, folder):
    subprocess.run(["dpkg-deb", "-x", str(deb), str(folder)], check=True)
    return folder


def _newest_kernel():
    text = _run(["apt-cache", "depends", "--important", META_PACKAGE])
    for line in text.splitlines():
        label, _, name = line.strip().partition(": ")
        if label == "Depends" and name.startswith("linux-image-"):
            return name
    raise Failure(f"apt knows no {META_PACKAGE}: run apt-get update, or give --deb")


def _apt_facts(name):
    facts = {}
    for line in _run(["apt-cache", "show", "--no-all-versions", name]).splitlines():
        key, _, value = line.partition(": ")
        facts.setdefault(key, value)
    if "SHA256" not in facts:
        raise Failure(f"apt knows no checksum of {name}: run apt-get update, or give --deb")
    return facts


def _download(name, facts, path):
    path.parent.mkdir(parents=True, exist_ok=True)
    for old in path.parent.glob(f"{name}_*"):
        old.unlink()
    # Not as the user _apt: it cannot write here, and says so at length.
    command = ["apt-get", "-q", "-o", "APT::Sandbox::User=root", "download", f"{name}={facts['Version']}"]
    result = subprocess.run(command, cwd=path.parent, capture_output=True, text=True)
    if result.returncode != 0:
        raise Failure(f"download {name}: {result.stderr.strip()}")
    if not _matches(path, facts["SHA256"]):
        raise Failure(f"{path}: differs from the checksum that apt knows")


def _matches(path, expected):
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest() == expected
    except FileNotFoundError:
        return False


def _run(command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout
