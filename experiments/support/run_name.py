"""How a run's folder is called."""

from cnn3 import PROTOCOLS, VARIANTS, RunConfig
from cnn3.config import ModelConfig


def run_name(config: RunConfig) -> str:
    """Return the name of a run's folder: what a reader wants to know, and the digest that tells it from all others."""
    optimizer, protocols = config.optimizer, {value: name for name, value in PROTOCOLS.items()}
    parts = [
        _model_name(config.model),
        optimizer.name,
        f"lr{optimizer.learning_rate:g}",
        f"batch{config.batch_size}",
        protocols.get(config.protocol, "mixed"),
        f"seed{config.seed}",
    ]
    return "-".join([*parts, config.digest()])


def _model_name(model: ModelConfig) -> str:
    variants = {value: name for name, value in VARIANTS.items()}
    if model in variants:
        return variants[model]
    switches = {"batch_norm": model.batch_norm, "dropout": model.dropout > 0, "dense": model.dense}
    on = [name for name, value in switches.items() if value] or ["baseline"]
    widths = ["x".join(map(str, model.channels)), "x".join(map(str, model.hidden))]
    return "_".join([*on, *widths, model.pool])
