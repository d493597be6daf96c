"""What networks cost, against formulas."""

from dataclasses import replace
from itertools import pairwise

import pytest

from cnn3 import VARIANTS, ModelConfig, RunConfig
from cnn3.analysis.cost import count_parameters, training_flops
from tests.helpers.marks import whole_except

MODELS = {
    **VARIANTS,
    "batch_norm_dropout_dense": replace(VARIANTS["dense"], batch_norm=True, dropout=0.2),
    "rising": ModelConfig(channels=(64, 128, 256)),
    "two_layers": ModelConfig(hidden=(128,)),
    "four_layers": ModelConfig(hidden=(512, 256, 128)),
    "average": ModelConfig(pool="average"),
}


def layers(model: ModelConfig) -> tuple[list[tuple[int, int, int]], list[tuple[int, int]]]:
    """Return side, inputs and outputs of the convolutions, and inputs and outputs of the fully connected layers."""
    first, second, third = model.channels
    sides = (32, 32, 32) if model.dense else (32, 16, 8)
    inputs = (3, 3 + first, 3 + first + second) if model.dense else (3, first, second)
    widths = [(sides[2] // 2) ** 2 * third, *model.hidden, 10]
    return list(zip(sides, inputs, model.channels, strict=True)), list(pairwise(widths))


def products(model: ModelConfig) -> int:
    """Return the operations in the products of training on one image.

    3x3 windows are cut off at the border: along a side of n, the n windows hold 3n - 2 pixels of the image. Each
    product has two counterparts in the backward pass, for weights and inputs, but the images need no gradient.
    """
    convolutions, linear = layers(model)
    forward = [2 * (3 * side - 2) ** 2 * inputs * outputs for side, inputs, outputs in convolutions]
    return 3 * sum(forward) - forward[0] + 3 * sum(2 * inputs * outputs for inputs, outputs in linear)


@pytest.mark.parametrize("name", whole_except(["baseline", "batch_norm_dropout_dense"], MODELS))
def test_flops_are_those_of_the_products_and_at_most_3_percent_more(name):
    flops, expected = training_flops(RunConfig(model=MODELS[name])), products(MODELS[name])
    assert expected < flops < 1.03 * expected


def test_the_baseline_costs_half_a_gflop():
    """Counting the zeros of the padding, as 9 products per pixel, it is 0.51."""
    padded = 2 * 9 * (2 * 32**2 * 3 * 256 + 3 * 16**2 * 256 * 128 + 3 * 8**2 * 128 * 64)
    assert padded == pytest.approx(0.51e9, rel=0.01)
    assert training_flops(RunConfig()) == pytest.approx(0.47e9, rel=0.01)


def test_larger_batches_share_the_update():
    small, large = (training_flops(RunConfig(batch_size=size)) for size in (64, 256))
    update = (small - large) / (1 / 64 - 1 / 256)
    assert 8 < update / count_parameters(RunConfig()) < 32  # operations of Adam per parameter


@pytest.mark.parametrize("name", MODELS)
def test_parameters_are_weights_biases_and_two_per_channel_of_a_norm(name):
    model = MODELS[name]
    convolutions, linear = layers(model)
    expected = sum(9 * inputs * outputs + outputs for _, inputs, outputs in convolutions)
    expected += sum(inputs * outputs + outputs for inputs, outputs in linear)
    expected += 2 * (sum(model.channels) + sum(model.hidden)) if model.batch_norm else 0
    assert count_parameters(RunConfig(model=model)) == expected
