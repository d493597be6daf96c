"""The names of the runs' folders."""

from dataclasses import replace

from cnn3 import ModelConfig, OptimizerConfig, RunConfig
from cnn3.runs.run_name import run_name

TINY = ModelConfig(channels=(2, 2, 2), hidden=(128,))


def test_folders_tell_runs_apart_in_words_and_by_digest():
    default = RunConfig()
    assert run_name(default) == f"baseline-adam-lr0.001-batch128-corrected-seed3136-{default.digest()}"
    other = replace(
        default,
        model=replace(TINY, batch_norm=True),
        optimizer=OptimizerConfig("sgd", 1e-4),
        protocol=replace(default.protocol, pad_accuracy=True),
    )
    assert run_name(other) == f"batch_norm_2x2x2_128_max-sgd-lr0.0001-batch128-mixed-seed3136-{other.digest()}"
    assert run_name(default) != run_name(replace(default, epochs=149))
    first = replace(
        default, model=replace(TINY, pool_first=True, activation="gelu", flip_equivariant=True, pixel_norm=True)
    )
    assert run_name(first).startswith("baseline_2x2x2_128_max_first_gelu_flip_pixelnorm-adam-")
    several = replace(default, model=replace(TINY, columns=4))
    assert run_name(several).startswith("baseline_2x2x2_128_max_4columns-adam-")
