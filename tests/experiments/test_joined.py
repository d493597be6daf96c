"""Networks joined from runs: their predictions alone measure what the network itself does."""

from dataclasses import replace
from pathlib import Path
from statistics import fmean

import numpy as np
import pytest

from cnn3 import CNN3, RunConfig, evaluate, load, load_model, save_weights
from cnn3.weights.join import join as join_networks
from experiments.support.joined import Predictions, join, predict_test_set
from experiments.support.options import Options
from experiments.support.run import Run
from tests.helpers import fabricated
from tests.helpers.tiny import TINY, trained_weights

pytestmark = pytest.mark.usefixtures("quick_to_compile")

MODEL = replace(TINY, batch_norm=True, flip_equivariant=True)


def make_run(folder: Path, seed: int) -> Run:
    """Return a run whose folder has its best weights."""
    model = CNN3(MODEL)
    folder.mkdir()
    save_weights(folder / "best.safetensors", model, trained_weights(model, seed))
    return fabricated.run(RunConfig(MODEL, seed=seed, dataset="digits"), [0.5 + seed / 100])._replace(folder=folder)


def test_the_metrics_are_those_of_the_joined_networks(tmp_path: Path) -> None:
    runs = [make_run(tmp_path / str(seed), seed) for seed in range(3)]
    options, folder = Options(dataset="digits"), tmp_path / "predictions"
    predictions = [predict_test_set(options, folder, run) for run in runs]
    metrics = join([run for run in predictions if run], 2)
    images, labels = load("digits").test
    for measured, pair in zip(metrics, ((0, 1), (1, 2), (2, 0)), strict=True):
        network = join_networks([load_model(runs[i].folder / "best.safetensors") for i in pair])
        sums = evaluate(network.model, 100, network.weights, images, labels, len(labels))
        assert measured.loss == pytest.approx(float(sums.loss) / len(labels), rel=1e-6)  # seen: 2.3e-7
        assert measured.accuracy == int(sums.correct) / len(labels)
    assert len(set(metrics)) == 3


@pytest.mark.parametrize("columns", [1, 2, 3, 4])
@pytest.mark.parametrize("seed", range(4))
def test_each_run_is_in_as_many_networks(seed: int, columns: int) -> None:
    wrong, right = (Predictions(np.log([[1 - p, p]]), np.array([1])) for p in (0.4, 0.99))
    networks = join([right if i == seed else wrong for i in range(4)], columns)
    assert fmean(network.accuracy for network in networks) == columns / 4  # one that is sure outvotes three


def test_predictions_outlive_the_weights(tmp_path: Path) -> None:
    run, folder = make_run(tmp_path / "run", 1), tmp_path / "predictions"
    before = predict_test_set(Options(dataset="digits"), folder, run)
    (run.folder / "best.safetensors").unlink()
    after = predict_test_set(Options(dataset="digits"), folder, run)
    assert before is not None
    assert after is not None
    assert (after.log_probabilities == before.log_probabilities).all()
    assert predict_test_set(Options(dataset="digits"), tmp_path / "elsewhere", run) is None
