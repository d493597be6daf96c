"""A run's folder on the machine that gives the run to another one."""

from collections.abc import Iterator
from contextlib import contextmanager

from cnn3 import files, load
from cnn3.runs.archive import Archive, pack_all
from cnn3.runs.layout import SUMS
from cnn3.runs.locks import run_lock
from cnn3.runs.reuse import reuse_or_clear
from cnn3.runs.versions import run_versions
from experiments.support.worker import Job


@contextmanager
def check_out(job: Job) -> Iterator[Archive | None]:
    """Lock a run's folder, and yield what another machine needs of it to train the run, or None if it has finished.

    A finished run that cannot be reused is moved aside or removed, as `cnn3.fit` does.

    Raises:
        BusyError: another process trains the run, and `job.wait` is false.
        OutputError: the folder cannot be read or written, or holds another run.
    """
    with run_lock(files.make_folder(job.folder, "--output or --runs"), job.wait):
        if SUMS in files.list_names(job.folder):
            dataset = job.prepare(load(job.dataset, job.data_dir, seed=job.config.seed, limit=job.limit))
            if reuse_or_clear(job.config, job.folder, run_versions(job.config, dataset), job.reuse) is not None:
                yield None
                return
        yield pack_all(job.folder)
