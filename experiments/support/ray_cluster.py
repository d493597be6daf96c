"""The connection to a Ray cluster, and what its nodes offer."""

import io
import logging
import os
import socket
from collections.abc import Collection
from typing import Any, NamedTuple

import ray

from cnn3.cli import UsageError

LOCAL = "local"
CONNECT_SECONDS = 10.0
FORWARDED = ("CNN3_", "JAX_", "XLA_")  # beginnings of the environment variables that tasks get
OF_EACH_MACHINE = ("JAX_PLATFORMS", "JAX_COMPILATION_CACHE_DIR")  # but not these

SETTINGS = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_DISABLE_FAILURE_SIGNAL_HANDLER": "1"}  # it prints a trace for SIGTERM

log = logging.getLogger(__name__)
ray_log = logging.getLogger("cnn3.ray")  # printed with --verbose


class Resources(NamedTuple):
    """What Ray reserves for a run."""

    cpus: int
    gpus: float


class Settings(NamedTuple):
    """How runs are trained on a cluster.

    Args:
        address: of the cluster, as for `ray.init`; None means `RAY_ADDRESS`, or else this machine alone.
        cpus_per_run: the number of cores of a run.
        gpus_per_run: the share of GPUs of a run; None means a whole one if the cluster has any.
        shared: whether the nodes train in the runs' own folders.
    """

    address: str | None
    cpus_per_run: int
    gpus_per_run: float | None
    shared: bool

    def resources(self) -> Resources:
        """Return what a run needs of the cluster that this process is connected to; warn if no node has it."""
        gpus = self.gpus_per_run
        if gpus is None:
            gpus = 1.0 if ray.cluster_resources().get("GPU") else 0.0
        resources = Resources(self.cpus_per_run, gpus)
        if not fitting_nodes(resources):
            log.warning(
                "no node of the cluster has what a run needs (CPUs: %d, GPUs: %g): waiting for one; otherwise choose "
                "--cpus-per-run and --gpus-per-run anew",
                *resources,
            )
        return resources


def connect(address: str | None) -> None:
    """Connect this process to a cluster, unless it is; without an address, start Ray on this machine.

    Raises:
        UsageError: there is no cluster at the address.
    """
    if ray.is_initialized():
        return
    address = address or os.environ.get("RAY_ADDRESS") or LOCAL
    for name, value in SETTINGS.items():
        os.environ.setdefault(name, value)
    dashboard: dict[str, Any] = {}
    if address == LOCAL:
        dashboard = {"include_dashboard": False}
        if hasattr(os, "nice"):  # by default, Ray lets all else on the machine go first
            os.environ.setdefault("RAY_worker_niceness", str(os.nice(0)))
    try:
        _check_port(address)
        ray.init(address, log_to_driver=False, logging_level=logging.ERROR, **dashboard)
    except (OSError, RuntimeError, ValueError) as error:  # among them ConnectionError
        reason = str(error).strip().split("\n", 1)[0]
        raise UsageError(
            f"cannot reach a Ray cluster at {address} ({reason}): start one with ray start --head, and this command on "
            "one of its machines; or leave out --address to use this machine alone"
        ) from None


def _check_port(address: str) -> None:
    """Make sure that something listens at HOST:PORT: Ray itself tries for minutes.

    Raises:
        OSError: nothing does.
    """
    host, _, port = address.rpartition(":")
    if host and port.isdecimal():
        socket.create_connection((host, int(port)), CONNECT_SECONDS).close()


class RayMessages(io.TextIOBase):
    """Takes what Ray prints on standard output about its nodes, often whole pages, and logs it."""

    def write(self, text: str) -> int:
        """Log lines."""
        for line in text.splitlines():
            ray_log.info("%s", line)
        return len(text)


def forwarded_environment(resources: Resources) -> dict[str, str]:
    """Return the environment variables of a task: those of this process that affect how a run is computed."""
    env = {
        name: value for name, value in os.environ.items() if name.startswith(FORWARDED) and name not in OF_EACH_MACHINE
    }
    return env if resources.gpus else {**env, "JAX_PLATFORMS": "cpu"}


def fitting_nodes(resources: Resources) -> dict[str, int]:
    """Return the number of runs that each living node can train at a time, by the node's id, if it can train any."""
    nodes = {node["NodeID"]: node["Resources"] for node in ray.nodes() if node["Alive"]}
    counts = {id_: _fitting_runs(offered, resources) for id_, offered in nodes.items()}
    return {id_: count for id_, count in counts.items() if count}


def slots(resources: Resources, refused: Collection[str]) -> int:
    """Return the number of runs that the cluster can train at a time, without the nodes that are refused."""
    return sum(count for id_, count in fitting_nodes(resources).items() if id_ not in refused)


def _fitting_runs(offered: dict[str, float], resources: Resources) -> int:
    needed = {"CPU": resources.cpus, "GPU": resources.gpus}
    return min(int(offered.get(name, 0.0) / amount + 1e-6) for name, amount in needed.items() if amount)
