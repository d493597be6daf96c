"""The function that Ray runs on a node. It is sent there as code, and checks the node before it imports the rest."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import ray


class NodeAnswer(NamedTuple):
    """What a task says first: its node, and the versions there that are not those of the driver."""

    id: str
    address: str
    mismatch: str | None


def _make_task() -> Callable[..., Iterator[Any]]:
    # A function inside of another is sent as code, not as the name of a module that the node may not have.
    def train_remotely(
        job: bytes,
        archive: Mapping[str, bytes] | None,
        source: list[Any],
        digest: str,
        versions: Mapping[str, str],
        env: Mapping[str, str],
        cpus: int,
        gpus: float,
    ) -> Iterator[Any]:
        import os
        import pickle

        import ray

        os.environ.update(env)
        address = ray.util.get_node_ip_address()
        answer = {"id": ray.get_runtime_context().get_node_id(), "address": address}
        try:
            from experiments.support.ray_node import describe_mismatch, take_cores
        except ImportError as error:
            yield {**answer, "mismatch": f"no cnn3 that can take part ({error})"}
            return
        mismatch = describe_mismatch(versions)
        yield {**answer, "mismatch": mismatch}
        if mismatch is not None:
            return
        locks = take_cores(cpus)  # before JAX starts its threads
        from experiments.support.ray_worker import Task, train

        images: Any = None if source[0] is None else ray.get(source[0])
        yield from train(Task(pickle.loads(job), archive, address, gpus, digest, images))
        del locks

    return train_remotely


# A process for each run: its cores and its environment are its own.
train_remotely: Any = ray.remote(num_returns="streaming", max_retries=0, max_calls=1)(_make_task())
