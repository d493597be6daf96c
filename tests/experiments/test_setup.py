"""Data, network and settings, compared with those of the original study."""

from dataclasses import replace

import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from cnn3 import CNN3, VARIANTS, DataError, load
from cnn3.nn.layers import xla_block
from cnn3.training.state import weight_shapes
from experiments.setup import PROTOCOL_DEFECTS, count_per_class, layers_table, protocols_table, settings, setup
from experiments.support.options import Options
from experiments.support.publish import describe_setup, publish
from experiments.support.reported import REPORTED_SETTINGS

# The shapes of weights and biases of the layers that figure 2 of the original study prints.
FIGURE_2 = {
    "conv_layer1": ("256 x 3 x 3 x 3", "256"),
    "conv_layer2": ("128 x 256 x 3 x 3", "128"),
    "conv_layer3": ("64 x 128 x 3 x 3", "64"),
    "fc1": ("512 x 1024", "512"),
    "fc2": ("128 x 512", "128"),
    "fc3": ("10 x 128", "10"),
}


@pytest.fixture(scope="module")
def digits():
    return load("digits")


def test_layers_are_those_of_figure_2():
    *layers, total = layers_table().rows
    assert {name: (weights, biases) for name, weights, biases, _ in layers} == FIGURE_2
    assert [int(line[3].replace(",", "")) for line in layers] == [7168, 295_040, 73_792, 524_800, 65_664, 1290]
    assert total[3] == "967,754"


def test_settings_are_those_of_the_original_study(digits):
    used = settings(Options(dataset="digits"), digits, 1294)
    assert set(used) == set(REPORTED_SETTINGS)
    as_printed = ("size", "held_out", "padding", "crop", "convolutions", "kernel", "pooling", "features", "widths")
    as_printed += ("batch_size", "learning_rate", "weight_decay", "patience", "dropout", "batch_sizes", "selected")
    for key in (*as_printed, "momentum", "epochs", "latent"):
        assert used[key] == REPORTED_SETTINGS[key].printed, key
    assert used["channels"] == "256, 128, 64"
    assert used["dense_channels"] == "128, 64, 32"  # half of those
    assert used["dense_widths"] == "1024, 128"
    assert used["scale"] == "0.8 to 1.2"
    assert used["learning_rates"] == "0.01, 0.001, 0.0001"
    assert used["split"] == "1,294, 143, 360"


def test_a_limit_is_checked(quick_to_compile):
    assert setup(Options(dataset="digits", limit=256)).tables["Settings"].rows
    with pytest.raises(DataError, match="limit 1295 is out of range: digits has 1294"):
        setup(Options(dataset="digits", limit=1295))


def test_finished_runs_need_no_images(tmp_path):
    """CIFAR-10 need not be on a machine that makes tables only."""
    with pytest.raises(DataError, match=r"there are no test records in .*cifar10.*: name another folder"):
        describe_setup(Options(data_dir=tmp_path))
    sentence = describe_setup(Options(data_dir=tmp_path, only_finished=True))
    assert sentence.endswith("cannot be read on this machine, so it is not known here how they were processed.")


def test_kernel_and_pooling_are_those_of_the_network(quick_to_compile):
    """A 3x3 kernel keeps the size with stride 1 and one pixel of padding; 2x2 windows with stride 2 halve it."""
    images, kernel, bias = jnp.zeros((1, 32, 32, 3)), jnp.zeros((3, 3, 3, 1)).at[0, 0, 0, 0].set(1), jnp.zeros(1)
    shifted, _ = xla_block(images.at[0, 4, 4, 0].set(1), kernel, bias, None, "none")
    assert shifted.shape == (1, 32, 32, 1)
    assert np.argwhere(np.asarray(shifted)).tolist() == [[0, 5, 5, 0]]  # the kernel's corner is one pixel away
    pooled, _ = xla_block(images.at[0, 4, 4, 0].set(1), kernel, bias, None, "max")
    assert pooled.shape == (1, 16, 16, 1)
    assert np.argwhere(np.asarray(pooled)).tolist() == [[0, 2, 2, 0]]
    shapes = weight_shapes(CNN3(VARIANTS["baseline"])).params
    assert {shapes[f"conv_layer{i}"]["kernel"].shape[:2] for i in (1, 2, 3)} == {(3, 3)}
    features = CNN3(VARIANTS["baseline"]).config.channels[-1] * (32 // 2**3) ** 2
    assert shapes["fc1"]["kernel"].shape[0] == features


def test_classes_are_counted(digits):
    assert count_per_class(digits.test.labels) == "28 to 44"
    assert count_per_class(np.repeat(np.arange(10), 5000)) == "5,000"


def test_each_defect_has_a_line_with_the_protocol_in_use():
    options = Options(dataset="digits")
    assert len(PROTOCOL_DEFECTS) == 5
    assert {line[3] for line in protocols_table(options).rows} == {"corrected"}
    assert {line[3] for line in protocols_table(replace(options, protocol="published")).rows} == {"published"}


@pytest.mark.whole
def test_figures_are_written(tmp_path, quick_to_compile):
    options = Options(dataset="digits", output=tmp_path)
    paths = publish(options, setup(options))
    assert {path.name for path in paths} == {"summary.json", "table.md", "examples.png", "augmented.png"}
    for path in paths[2:]:
        with Image.open(path) as picture:
            assert picture.width > 900
