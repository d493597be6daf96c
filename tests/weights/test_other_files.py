"""Files of weights that other programs have written, and what is wrong with them."""

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from cnn3 import CNN3, ModelConfig, WeightsError, load_model, load_weights, save_weights
from tests.helpers.tiny import TINY, random_weights

MODEL = CNN3(TINY)


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "sound.safetensors"
    save_weights(path, MODEL, random_weights(MODEL))
    return path


@pytest.mark.parametrize(
    ("prefix", "message"),
    [
        ("module.", "names begin with module., which torch.nn.DataParallel adds"),
        ("_orig_mod.", "names begin with _orig_mod., which torch.compile adds"),
        ("module._orig_mod.", "names begin with module., which torch.nn.DataParallel adds"),
    ],
)
def test_the_prefix_of_a_wrapper_is_named(prefix: str, message: str, saved: Path, tmp_path: Path) -> None:
    path = tmp_path / "wrapped.safetensors"
    save_file({f"{prefix}{name}": tensor for name, tensor in load_file(saved).items()}, path)
    for load in (lambda: load_model(path, discard_last_norm=False), lambda: load_weights(path, MODEL)):
        with pytest.raises(WeightsError, match=rf"wrapped\.safetensors: {message}"):
            load()


def test_what_pytorch_wraps_is_not_loaded_but_what_is_inside_is(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch", reason="the judge is PyTorch: pip install -e '.[parity]'")
    from safetensors.torch import save_file

    from tests.helpers.torch_reference import TorchCNN3

    wrapped, path = torch.nn.DataParallel(TorchCNN3(TINY, False)), tmp_path / "a.safetensors"
    save_file(wrapped.state_dict(), path)
    with pytest.raises(WeightsError, match="names begin with module"):
        load_model(path, discard_last_norm=False)
    save_file(wrapped.module.state_dict(), path)
    assert load_model(path, discard_last_norm=False).model == MODEL


@pytest.mark.parametrize("zipped", [True, False])
def test_files_of_torch_save_are_told_from_damaged_ones(zipped: bool, tmp_path: Path) -> None:
    torch = pytest.importorskip("torch", reason="the judge is PyTorch: pip install -e '.[parity]'")
    path = tmp_path / "best.pt"
    torch.save({"fc1.weight": torch.zeros(3, 3)}, path, _use_new_zipfile_serialization=zipped)
    for load in (load_model, lambda path: load_weights(path, MODEL)):
        with pytest.raises(WeightsError, match=r"best\.pt: it is a file of torch\.save") as caught:
            load(path)
        assert str(caught.value).endswith("save a state_dict with safetensors.torch.save_file")


@pytest.mark.parametrize("content", [b"", b"no weights", bytes(100)])
def test_what_is_no_safetensors_file_is_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "best.safetensors"
    path.write_bytes(content)
    with pytest.raises(WeightsError, match=r"it is not a safetensors file, or is damaged .*save_file"):
        load_model(path)


@pytest.mark.parametrize("dtype", ["int8", "int64", "uint8", "bool", "complex64"])
def test_only_floating_point_numbers_are_weights(dtype: str, saved: Path, tmp_path: Path) -> None:
    tensors = load_file(saved)
    path = tmp_path / "quantized.safetensors"
    save_file({**tensors, "fc1.weight": tensors["fc1.weight"].astype(dtype)}, path)
    for load in (lambda: load_model(path, discard_last_norm=False), lambda: load_weights(path, MODEL)):
        with pytest.raises(WeightsError, match=rf"fc1\.weight is of type {dtype}; save it as float32"):
            load()


def test_float16_and_float64_become_float32(saved: Path, tmp_path: Path) -> None:
    tensors = load_file(saved)
    for dtype, tolerance in (("float16", 2e-3), ("float64", 0)):
        changed = {name: a.astype(dtype) if a.dtype == np.float32 else a for name, a in tensors.items()}
        save_file(changed, tmp_path / "a.safetensors")
        kernel = load_weights(tmp_path / "a.safetensors", MODEL).params["fc2"]["kernel"]
        assert kernel.dtype == np.float32
        np.testing.assert_allclose(kernel, tensors["fc2.weight"].T, rtol=tolerance, atol=1e-6)


def test_classes_and_logits_are_as_many(tmp_path: Path) -> None:
    model = CNN3(ModelConfig(channels=(2, 2, 2), hidden=(128,), classes=3))
    weights, path = random_weights(model), tmp_path / "three.safetensors"
    with pytest.raises(WeightsError, match=r"three.safetensors is not written: 2 classes for 3 logits"):
        save_weights(path, model, weights, ("a", "b"))
    assert not path.exists()
    save_weights(path, model, weights, ("a", "b", "c"))
    assert load_model(path).classes == ("a", "b", "c")
    three, two = (json.dumps(json.dumps(classes))[1:-1].encode() for classes in (["a", "b", "c"], ["a", "b"]))
    content = path.read_bytes()
    assert three in content
    path.write_bytes(content.replace(three, two.ljust(len(three))))
    with pytest.raises(WeightsError, match="its description is damaged"):
        load_model(path)
