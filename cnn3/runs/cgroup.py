"""Memory that this process's control groups leave it: containers and batch systems limit processes by such groups."""

from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import NamedTuple

MOUNT, MEMBERSHIP = Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")


class _Files(NamedTuple):
    """Names of a group's files, and in its statistics that of the page cache which the system gives up first."""

    limit: str
    usage: str
    reclaimable: str


VERSION_2 = _Files("memory.max", "memory.current", "inactive_file")
VERSION_1 = _Files("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")


def memory_left(mount: Path = MOUNT, membership: Path = MEMBERSHIP) -> int | None:
    """Return the bytes that a process's groups and their parents leave it, or None if none of them says.

    Args:
        mount: where the system shows its groups.
        membership: the file that names the process's groups.
    """
    left = (_left(group, files) for group, files in _groups(mount, membership))
    return min((number for number in left if number is not None), default=None)


def _groups(mount: Path, membership: Path) -> Iterator[tuple[Path, _Files]]:
    """Yield the process's groups that limit memory, and all their parents: a container sees only some of them."""
    try:
        lines = membership.read_text().splitlines()
    except OSError:  # other systems than Linux
        return
    for line in lines:
        number, controllers, path = line.split(":", 2)
        if number == "0":
            root, files = mount, VERSION_2
        elif "memory" in controllers.split(","):
            root, files = mount / "memory", VERSION_1
        else:
            continue
        inside = PurePosixPath(*(part for part in PurePosixPath(path).parts if part not in ("/", "..")))
        for group in (inside, *inside.parents):
            yield root / group, files


def _left(group: Path, files: _Files) -> int | None:
    try:
        limit, usage = (int((group / name).read_text()) for name in (files.limit, files.usage))
    except (OSError, ValueError):  # not there, or without a limit: "max"
        return None
    return max(limit - usage + _reclaimable(group / "memory.stat", files.reclaimable), 0)


def _reclaimable(statistics: Path, name: str) -> int:
    try:
        return int(dict(line.split() for line in statistics.read_text().splitlines()).get(name, 0))
    except (OSError, ValueError):
        return 0
