"""Prediction of a user's own images, and the files of weights that it needs."""

import dataclasses
import json
from pathlib import Path

import jax
import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import load_file, save_file

import cnn3
from cnn3.cli import UsageError
from cnn3.config import VARIANTS, ModelConfig
from cnn3.data.dataset import CIFAR10_CLASSES
from cnn3.nn.network import CNN3
from cnn3.predict.__main__ import main, parse
from cnn3.predict.classify import most_probable
from cnn3.training.state import Weights, weight_shapes
from cnn3.weights.torch_layout import WeightsError, infer_config, to_torch
from cnn3.weights.weight_files import load_model, load_weights, save_weights
from tests.helpers.processes import python
from tests.helpers.tiny import TINY, random_weights

DIGITS = tuple("0123456789")


def positive_variance(weights: Weights) -> Weights:
    stats = {name: {**leaves, "var": np.abs(leaves["var"]) + 0.1} for name, leaves in weights.batch_stats.items()}
    return weights._replace(batch_stats=stats)


pytestmark = pytest.mark.usefixtures("quick_to_compile")


@pytest.fixture(scope="module")
def model() -> CNN3:
    return CNN3(TINY)


@pytest.fixture(scope="module")
def weights(model) -> Weights:
    return positive_variance(random_weights(model))


@pytest.fixture(scope="module")
def digits() -> cnn3.Dataset:
    return cnn3.load("digits")


@pytest.fixture(scope="module")
def saved(tmp_path_factory, model, weights) -> Path:
    path = tmp_path_factory.mktemp("weights") / "best.safetensors"
    save_weights(path, model, weights, DIGITS)
    return path


@pytest.fixture
def picture(tmp_path, digits) -> Path:
    path = tmp_path / "digit.png"
    Image.fromarray(digits.test.images[0]).save(path)
    return path


def without_metadata(path: Path, to: Path) -> Path:
    save_file(load_file(path), to)
    return to


# Weights


SHAPES = {
    **VARIANTS,
    "two_linear": ModelConfig(channels=(4, 5, 6), hidden=(128,)),
    "four_linear": ModelConfig(channels=(4, 5, 6), hidden=(12, 11, 128), batch_norm=True),
    "dense_batch_norm": ModelConfig(channels=(4, 5, 6), dense=True, batch_norm=True),
}


@pytest.mark.parametrize("config", SHAPES.values(), ids=SHAPES)
def test_the_shape_is_read_from_tensors(config):
    like = to_torch(CNN3(config), jax.tree.map(lambda a: np.zeros(a.shape), weight_shapes(CNN3(config))))
    assert infer_config(like) == dataclasses.replace(config, dropout=0.0)


@pytest.mark.parametrize("discard", [False, True])
@pytest.mark.parametrize("classes", [None, CIFAR10_CLASSES])
def test_a_file_says_what_its_tensors_do_not(discard, classes, tmp_path):
    model = CNN3(dataclasses.replace(TINY, pool="average", dropout=0.5), discard)
    weights = random_weights(model)
    save_weights(tmp_path / "a", model, weights, classes)
    saved = load_model(tmp_path / "a")
    assert saved.model == model
    assert saved.classes == classes
    for a, b in zip(jax.tree.leaves(saved.weights), jax.tree.leaves(weights), strict=True):
        assert np.array_equal(a, b)
    assert load_model(tmp_path / "a", discard_last_norm=not discard).model.discard_last_norm is not discard


def test_a_pytorch_file_needs_the_protocol(saved, tmp_path):
    bare = without_metadata(saved, tmp_path / "bare.safetensors")
    with pytest.raises(WeightsError, match=r"bare\.safetensors: .*--protocol"):
        load_model(bare)
    for discard in (False, True):
        assert load_model(bare, discard_last_norm=discard)[0::2] == (CNN3(TINY, discard), None)
    model = CNN3(dataclasses.replace(TINY, batch_norm=False))
    save_weights(tmp_path / "plain", model, random_weights(model))
    assert load_model(without_metadata(tmp_path / "plain", tmp_path / "bare")).model == model


def test_weights_that_cannot_be_read_are_named(saved, tmp_path):
    def changed(**tensors) -> Path:
        values = {**load_file(saved), **tensors}
        save_file({name: value for name, value in values.items() if value is not None}, tmp_path / "changed")
        return tmp_path / "changed"

    text = tmp_path / "text"
    text.write_text("no weights")
    cut = tmp_path / "cut"
    cut.write_bytes(saved.read_bytes()[:-10])
    cases = [
        (tmp_path / "missing", "No such file"),
        (tmp_path, "cannot load weights"),
        (text, "cannot load weights"),
        (cut, "cannot load weights"),
    ]
    for path, message in cases:
        with pytest.raises(WeightsError, match=message) as error:
            load_model(path)
        assert str(path) in str(error.value)
    four = np.zeros((4, 4, 3, 3), np.float32)
    for tensors, message in [
        ({"conv_layer2.weight": None}, "conv_layer2.weight is missing"),
        ({"fc1.weight": np.zeros(3, np.float32)}, "fc1.weight has shape .*2 dimensions"),
        ({"fc3.weight": np.zeros((7, 128), np.float32)}, r"fc3.bias has shape \(10,\); the model needs \(7,\)"),
        ({"fc2.weight": np.zeros((64, 16), np.float32)}, "batch_norm5.bias has shape"),
        ({"fc2.weight": None}, "fc2.weight is missing"),
        ({"conv_layer2.weight": np.zeros((4, 9, 3, 3), np.float32)}, "conv_layer2.weight has shape"),
        ({"conv_layer4.weight": four}, "conv_layer4.weight is not part of the model"),
        ({"batch_norm2.running_var": None}, "batch_norm2.running_var is missing"),
    ]:
        with pytest.raises(WeightsError, match=message):
            load_model(changed(**tensors), discard_last_norm=False)
    for description in ("", "[]", "{}", json.dumps({"model": 1, "discard_last_norm": 1, "classes": 1})):
        save_file(load_file(saved), tmp_path / "changed", metadata={"cnn3": description})
        with pytest.raises(WeightsError, match="description is damaged"):
            load_model(tmp_path / "changed")
        load_weights(tmp_path / "changed", CNN3(TINY))  # what is known need not be described


def test_types_other_than_float32(model, weights, tmp_path, torch):
    from safetensors.torch import save_file

    tensors = {name: torch.tensor(np.asarray(value)) for name, value in to_torch(model, weights).items()}
    save_file({name: value.to(torch.bfloat16).contiguous() for name, value in tensors.items()}, tmp_path / "bfloat16")
    loaded = load_model(tmp_path / "bfloat16", discard_last_norm=False).weights
    for a, b in zip(jax.tree.leaves(loaded), jax.tree.leaves(weights), strict=True):
        assert a.dtype == np.float32
        np.testing.assert_allclose(a, b, rtol=2**-8)
    save_file(
        {name: value.to(torch.float8_e4m3fn).contiguous() for name, value in tensors.items()}, tmp_path / "float8"
    )
    with pytest.raises(WeightsError, match="save them as float32"):
        load_model(tmp_path / "float8", discard_last_norm=False)


# The command


def parse_output(stdout: str) -> dict[str, list[tuple[str, float]]]:
    lines = [line.rsplit(": ", 1) for line in stdout.splitlines()]
    pairs = {path: [pair.split() for pair in rest.split(", ")] for path, rest in lines}
    return {path: [(name, float(value)) for name, value in classes] for path, classes in pairs.items()}


def test_probabilities_are_those_of_the_network(saved, model, weights, digits, tmp_path, capsys):
    paths = [str(tmp_path / f"{i}.png") for i in range(3)]
    for path, image in zip(paths, digits.test.images, strict=False):
        Image.fromarray(image).save(path)
    assert main([*paths, "--weights", str(saved), "--top", "10"]) == 0
    printed = parse_output(capsys.readouterr().out)
    assert list(printed) == paths
    logits = np.asarray(cnn3.predict(model, 2, weights, digits.test.images[:3]).logits, np.float64)
    expected = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    assert np.ptp(expected) > 0.05
    for classes, row in zip(printed.values(), expected, strict=True):
        assert sorted(name for name, _ in classes) == list(DIGITS)
        assert [value for _, value in classes] == sorted((value for _, value in classes), reverse=True)
        assert dict(classes) == pytest.approx(dict(zip(DIGITS, row, strict=True)), abs=6e-5)


def test_top_is_the_most_probable_first():
    probabilities = np.array([0.1, 0.6, 0.3])
    assert list(most_probable(probabilities, ("a", "b", "c"), 2).items()) == [("b", 0.6), ("c", 0.3)]
    assert list(most_probable(probabilities, ("a", "b", "c"), 5)) == ["b", "c", "a"]


def test_programs_read_a_json_object_per_image(saved, picture, tmp_path, capsys):
    """Its numbers are those of the text, and a name with separators in it does no harm."""
    named = tmp_path / "a, b: c.png"
    named.write_bytes(picture.read_bytes())
    assert main([str(named), "--weights", str(saved), "--json"]) == 0
    read = json.loads(capsys.readouterr().out)
    assert read["file"] == str(named)
    assert main([str(picture), "--weights", str(saved)]) == 0
    ((classes,)) = parse_output(capsys.readouterr().out).values()
    assert list(read["probabilities"]) == [name for name, _ in classes]
    assert read["probabilities"] == pytest.approx(dict(classes), abs=6e-5)


def test_a_bad_image_is_reported_and_the_others_are_classified(saved, picture, tmp_path, capsys):
    args = [str(tmp_path / "missing.png"), str(picture), "--weights", str(saved)]
    assert main(args) == 1
    output = capsys.readouterr()
    assert list(parse_output(output.out)) == [str(picture)]
    assert len(parse_output(output.out)[str(picture)]) == 3
    assert output.err == f"error: there is no file {tmp_path / 'missing.png'}\n"
    assert main([args[0], *args[2:]]) == 1
    assert capsys.readouterr().out == ""


def test_weights_that_name_no_classes_need_a_dataset_and_a_protocol(saved, picture, tmp_path, capsys):
    bare = str(without_metadata(saved, tmp_path / "bare.safetensors"))
    for options, missing in [
        ([], "--protocol"),
        (["--protocol", "corrected"], "--dataset"),
    ]:
        assert main([str(picture), "--weights", bare, *options]) == 2
        error = capsys.readouterr().err
        assert error.startswith("error: ")
        assert error.count("\n") == 1
        assert missing in error
    top = ["--top", "10", "--protocol"]
    printed = []
    for protocol in ("corrected", "published"):
        assert main([str(picture), "--weights", bare, "--dataset", "cifar10", *top, protocol]) == 0
        (classes,) = parse_output(capsys.readouterr().out).values()
        assert sorted(name for name, _ in classes) == sorted(CIFAR10_CLASSES)
        printed.append(dict(classes))
    assert printed[0] != printed[1]


def test_weights_of_a_diverged_run_are_refused(model, weights, picture, tmp_path, capsys):
    broken = jax.tree.map(lambda a: np.full_like(a, np.nan), weights)
    save_weights(tmp_path / "nan.safetensors", model, broken, DIGITS)
    assert main([str(picture), "--weights", str(tmp_path / "nan.safetensors")]) == 2
    assert "no finite probabilities" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ([], "name at least one image"),
        (["--weights", "a"], "name at least one image"),
        (["a.png", "--weights", "a", "--top", "0"], "--top must be at least 1, not 0"),
        (["a.png", "--weights", "a", "--top", "x"], "--top: 'x' is not an integer"),
    ],
)
def test_a_command_line_that_cannot_be_understood(args, message, capsys):
    with pytest.raises(UsageError) as error:
        parse(args)
    assert message in str(error.value)
    assert main(args) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_it_runs_as_a_command_and_the_package_keeps_its_function(saved, picture, tmp_path):
    assert callable(cnn3.predict)
    (tmp_path / "cut.png").write_bytes(picture.read_bytes()[:200])
    args = [str(picture), str(tmp_path / "cut.png"), "--weights", str(saved), "--top", "1"]
    process = python("-W", "error::RuntimeWarning", "-m", "cnn3.predict", *args)
    assert process.returncode == 1
    assert list(parse_output(process.stdout)) == [str(picture)]
    assert process.stderr.count("\n") == 1
    assert "cut.png" in process.stderr
