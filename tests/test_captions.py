"""What stands above sections and under pictures."""

import pytest

from experiments.captions import PICTURES, PLACES, caption, numbered, title
from experiments.reported import FIGURES
from experiments.reproduce import EXPERIMENTS


@pytest.mark.parametrize(
    ("experiment", "file", "expected"),
    [
        ("improvements", "loss_batch_norm.png", "Training and validation loss by epoch: batch norm (figure 8 of"),
        ("optimizers", "accuracy_sgd.png", "Training and validation accuracy by epoch: SGD (figure 18 of"),
        ("latent", "epoch20.png", "Latent space of the test images after epoch 21 (figure 25 of the original study)"),
        ("hyperparameters", "accuracy_selected.png", "Training and validation accuracy by epoch: the selected setting"),
        ("tuned", "confusion.png", PICTURES["confusion"]),
        ("any", "some_thing.png", "Some thing"),
    ],
)
def test_captions_say_what_is_seen(experiment, file, expected):
    assert caption(experiment, file, "cifar10").startswith(expected)


def test_other_data_sets_have_no_counterpart():
    assert caption("latent", "best.png", "digits") == PICTURES["best"]
    assert title("latent", "The latent space", "digits") == "The latent space"
    assert title("latent", "The latent space", "cifar10") == "The latent space (section 7 of the original study)"
    assert numbered("improvements", "Results", "Results", "cifar10").endswith(
        "(figures 3, 6, 9, 12 of the original study)"
    )


def test_every_experiment_but_the_audit_has_a_place():
    assert {experiment.name for experiment in EXPERIMENTS} - set(PLACES) == {"audit"}
    assert {by for _, by, _ in FIGURES.values()} <= set(PLACES)
