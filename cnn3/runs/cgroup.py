"""The memory that Linux control groups leave to this process; containers and batch systems set such limits."""

from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import NamedTuple

MOUNT, MEMBERSHIP = Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")


class _Files(NamedTuple):
    """Names of a group's files, and the entry of its statistics for page cache that the system can reclaim."""

    limit: str
    usage: str
    reclaimable: str


VERSION_2 = _Files("memory.max", "memory.current", "inactive_file")
VERSION_1 = _Files("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")


def cgroup_bytes_left(mount: Path = MOUNT, membership: Path = MEMBERSHIP) -> int | None:
    """Return the bytes that a process's groups and their parents leave it, or None if none sets a limit.

    Args:
        mount: where the control groups are mounted.
        membership: the file that names the process's groups.
    """
    left = (_bytes_left(group, files) for group, files in _groups(mount, membership))
    return min((size for size in left if size is not None), default=None)


def _groups(mount: Path, membership: Path) -> Iterator[tuple[Path, _Files]]:
    """Yield the process's groups that can limit memory, and all their parents; a container sees only some of them."""
    try:
        lines = membership.read_text().splitlines()
    except OSError:  # systems other than Linux
        return
    for line in lines:
        number, controllers, path = line.split(":", 2)
        if number == "0":
            root, files = mount, VERSION_2
        elif "memory" in controllers.split(","):
            root, files = mount / "memory", VERSION_1
        else:
            continue
        relative = PurePosixPath(*(part for part in PurePosixPath(path).parts if part not in ("/", "..")))
        for group in (relative, *relative.parents):
            yield root / group, files


def _bytes_left(group: Path, files: _Files) -> int | None:
    try:
        limit, usage = (int((group / name).read_text()) for name in (files.limit, files.usage))
    except (OSError, ValueError):  # missing, or without a limit: "max"
        return None
    return max(limit - usage + _reclaimable(group / "memory.stat", files.reclaimable), 0)


def _reclaimable(statistics: Path, name: str) -> int:
    try:
        return int(dict(line.split() for line in statistics.read_text().splitlines()).get(name, 0))
    except (OSError, ValueError):
        return 0
