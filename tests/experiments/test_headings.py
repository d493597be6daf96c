"""What stands above sections and under pictures."""

import pytest

from experiments.reproduce import EXPERIMENTS
from experiments.support.headings import SECTIONS, caption, section_title
from experiments.support.reported import FIGURES


@pytest.mark.parametrize(
    ("experiment", "file", "figures"),
    [
        ("improvements", "curves_batch_norm.png", "figures 7, 8"),
        ("optimizers", "curves_sgd.png", "figures 18, 19"),
        ("latent", "side_by_side.png", "figures 24, 25, 26"),
        ("hyperparameters", "heatmap.png", "figure 15"),
        ("improvements", "Results", "figures 3, 6, 9, 12"),
    ],
)
def test_captions_name_the_counterparts(experiment, file, figures):
    assert caption(experiment, file, "Words", "cifar10") == f"Words ({figures} of the original study)"
    assert caption(experiment, file, "Words", "digits") == "Words"  # which the original study does not have


def test_what_has_no_counterpart_has_its_words_alone():
    assert caption("tuned", "confusion.png", "Words", "cifar10") == "Words"


def test_sections_name_their_place():
    assert section_title("latent", "The latent space", "digits") == "The latent space"
    assert (
        section_title("latent", "The latent space", "cifar10") == "The latent space (section 7 of the original study)"
    )


def test_every_experiment_but_two_of_our_own_has_a_place():
    assert {experiment.name for experiment in EXPERIMENTS} - set(SECTIONS) == {"audit", "differences"}
    assert {by for _, by, _ in FIGURES.values()} <= set(SECTIONS)
