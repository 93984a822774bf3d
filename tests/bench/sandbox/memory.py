"""Memory of the processes in a cgroup, shared pages counted in shares."""

from pathlib import Path


def cgroup_pss_mib(cgroup: str) -> float:
    """Of all processes at or below it, whatever the hierarchy."""
    total = 0
    for process in Path("/proc").iterdir():
        if not process.name.isdigit():
            continue
        try:
            # "4:memory:/path" of cgroup v1, "0::/path" of v2.
            groups = [line.split(":", 2)[2] for line in (process / "cgroup").read_text(encoding="ascii").splitlines()]
            if any(f"{group}/".startswith(f"{cgroup}/") for group in groups):
                total += _pss_kib(process)
        except (FileNotFoundError, ProcessLookupError):
            continue  # it has ended meanwhile
    return total / 1024


def _pss_kib(process: Path) -> int:
    for line in (process / "smaps_rollup").read_text(encoding="ascii").splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1])
    return 0
