"""Headings of sections and captions of pictures."""

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
    assert caption(experiment, file, "Text", "cifar10") == f"Text ({figures} of the original study)"
    assert caption(experiment, file, "Text", "digits") == "Text"  # not a data set of the original study


def test_a_caption_without_counterpart_stays_as_it_is():
    assert caption("tuned", "confusion.png", "Text", "cifar10") == "Text"


def test_section_titles_name_the_original_section():
    assert section_title("latent", "The latent space", "digits") == "The latent space"
    assert (
        section_title("latent", "The latent space", "cifar10") == "The latent space (section 7 of the original study)"
    )


def test_all_but_two_experiments_have_a_place_in_the_study():
    assert {experiment.name for experiment in EXPERIMENTS} - set(SECTIONS) == {"audit", "differences"}
    assert {experiment for _, experiment, _ in FIGURES.values()} <= set(SECTIONS)
