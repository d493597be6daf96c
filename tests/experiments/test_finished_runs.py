"""Commands that train nothing and use finished runs only."""

from unittest.mock import patch

import pytest

from cnn3 import RunConfig
from experiments.audit import main
from experiments.support import runner
from experiments.support.finished_runs import UnfinishedError, describe_missing_seeds, only_finished, shorten
from experiments.support.options import Options
from experiments.support.runner import run_all
from tests.helpers import fabricated


def read_seeds(*seeds: int):
    """Return a fake of `runner._read` for which only the runs of these seeds have finished."""
    return lambda options, folder, config: fabricated.run(config, [0.5]) if config.seed in seeds else None


def fail_if_trained(*args, **kwargs):
    raise AssertionError("a run was trained")


@pytest.mark.parametrize(("seeds", "expected"), [((3136, 3137), [3136, 3137]), ((3137,), [3137])])
def test_finished_runs_are_used_and_none_is_trained(seeds, expected, tmp_path):
    options = Options(output=tmp_path, seeds=2, only_finished=True)
    with patch.object(runner, "_read", read_seeds(*seeds)), patch.object(runner, "fit", fail_if_trained):
        runs = run_all(options, "tuned", {"tuned": options.tuned()})
    assert [run.config.seed for run in runs["tuned"]] == expected


def test_a_row_without_a_finished_run_is_a_one_line_error(tmp_path, capsys):
    with patch.object(runner, "fit", fail_if_trained):
        assert main(["--output", str(tmp_path), "--only-finished"]) == 2
    assert capsys.readouterr().err.startswith("error: 6 of 6 rows have no finished run: none (corrected); last norm")


def test_missing_rows_and_seeds_are_named():
    configs = {name: RunConfig(seed=seed) for seed, name in enumerate("ab")}
    jobs = {(name, config.seed): config for name, config in configs.items()}
    with pytest.raises(UnfinishedError, match="1 of 2 rows have no finished run: b"):
        only_finished(jobs, {configs["a"]: 1, configs["b"]: None})
    assert shorten(list("abcdef")) == "a; b; c; d; and 2 more"
    assert describe_missing_seeds(3, {"a": [1, 2, 3], "b": [1]}) == [
        "Rows with fewer finished runs than seeds: b (1 of 3)."
    ]
    assert describe_missing_seeds(1, {"a": [1]}) == []
