"""The free memory of simulated control groups."""

from pathlib import Path

import pytest

from cnn3.runs.cgroup import cgroup_bytes_left

V1 = {"limit": "memory.limit_in_bytes", "usage": "memory.usage_in_bytes", "cache": "total_inactive_file"}
V2 = {"limit": "memory.max", "usage": "memory.current", "cache": "inactive_file"}
VERSIONS = {"1": V1, "2": V2}
UNLIMITED = {"1": "9223372036854771712", "2": "max"}
BATCH = "slurm/job_7/step_0"  # nested groups


def group(mount: Path, version: str, path: str, limit: object, usage: int, cache: int = 0) -> None:
    """Create a control group."""
    names, folder = VERSIONS[version], mount / ("memory" if version == "1" else "") / path
    folder.mkdir(parents=True, exist_ok=True)
    (folder / names["limit"]).write_text(f"{limit}\n")
    (folder / names["usage"]).write_text(f"{usage}\n")
    (folder / "memory.stat").write_text(f"anon {usage - cache}\nactive_file 5\n{names['cache']} {cache}\n")


def bytes_left(mount: Path, version: str, path: str) -> int | None:
    """Return the bytes that a process in a group may still use."""
    membership = mount / "self"
    lines = {"1": ["11:cpu,cpuacct:/else", f"9:memory:{path}", "0::/"], "2": [f"0::{path}"]}
    membership.write_text("".join(f"{line}\n" for line in lines[version]))
    return cgroup_bytes_left(mount, membership)


@pytest.mark.parametrize("version", VERSIONS)
def test_the_tightest_limit_of_a_group_or_a_parent_counts(version: str, tmp_path: Path) -> None:
    group(tmp_path, version, BATCH, UNLIMITED[version], 300)
    group(tmp_path, version, "slurm/job_7", 1000, 400)
    group(tmp_path, version, "slurm", 5000, 4000)
    assert bytes_left(tmp_path, version, f"/{BATCH}") == 600
    group(tmp_path, version, "slurm", 5000, 4500)
    assert bytes_left(tmp_path, version, f"/{BATCH}") == 500
    group(tmp_path, version, BATCH, 350, 300)
    assert bytes_left(tmp_path, version, f"/{BATCH}") == 50


@pytest.mark.parametrize("version", VERSIONS)
def test_reclaimable_page_cache_is_free(version: str, tmp_path: Path) -> None:
    group(tmp_path, version, BATCH, 1000, 900, cache=700)
    assert bytes_left(tmp_path, version, f"/{BATCH}") == 800
    group(tmp_path, version, BATCH, 1000, 1100)  # over the limit for a moment
    assert bytes_left(tmp_path, version, f"/{BATCH}") == 0
    group(tmp_path, version, BATCH, 1000, 900)
    for statistics in tmp_path.rglob("memory.stat"):
        statistics.unlink()  # some systems have none
    assert bytes_left(tmp_path, version, f"/{BATCH}") == 100


@pytest.mark.parametrize("path", ["/", "/docker/0123abcd", "/../../docker/0123abcd"])
@pytest.mark.parametrize("version", VERSIONS)
def test_a_container_sees_its_own_group_as_the_root(version: str, path: str, tmp_path: Path) -> None:
    group(tmp_path, version, "", 1000, 400)
    assert bytes_left(tmp_path, version, path) == 600


@pytest.mark.parametrize("version", VERSIONS)
def test_without_a_limit_the_result_is_none(version: str, tmp_path: Path) -> None:
    assert bytes_left(tmp_path, version, f"/{BATCH}") is None
    assert cgroup_bytes_left(tmp_path, tmp_path / "missing") is None
    group(tmp_path, "2", BATCH, "max", 300)
    assert bytes_left(tmp_path, "2", f"/{BATCH}") is None
