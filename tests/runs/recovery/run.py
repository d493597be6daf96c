"""The configuration of the runs that are disturbed."""

from cnn3 import ModelConfig, RunConfig

CONFIG = RunConfig(
    ModelConfig(channels=(2, 2, 2), hidden=(128,)), dataset="digits", limit=64, batch_size=32, epochs=3, snapshots=(0,)
)
