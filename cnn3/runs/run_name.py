"""The name of a run's folder."""

from cnn3.config import PROTOCOLS, VARIANTS, ModelConfig, RunConfig


def run_name(config: RunConfig) -> str:
    """Return the name of a run's folder: its main settings for a reader, and the digest that makes it unique."""
    optimizer, protocols = config.optimizer, {value: name for name, value in PROTOCOLS.items()}
    parts = [
        model_name(config.model),
        optimizer.name,
        f"lr{optimizer.learning_rate:g}",
        f"batch{config.batch_size}",
        protocols.get(config.protocol, "mixed"),
        f"seed{config.seed}",
    ]
    return "-".join([*parts, config.digest()])


def model_name(model: ModelConfig) -> str:
    """Return the name of a variant, or the improvements and widths of another network."""
    variants = {value: name for name, value in VARIANTS.items()}
    if model in variants:
        return variants[model]
    switches = {"batch_norm": model.batch_norm, "dropout": model.dropout > 0, "dense": model.dense}
    improvements = [name for name, used in switches.items() if used] or ["baseline"]
    widths = ["x".join(map(str, model.channels)), "x".join(map(str, model.hidden))]
    additions = {
        "first": model.pool_first,
        model.activation: model.activation != "relu",
        "flip": model.flip_equivariant,
        "pixelnorm": model.pixel_norm,
        f"{model.columns}columns": model.columns > 1,
    }
    return "_".join([*improvements, *widths, model.pool, *(name for name, used in additions.items() if used)])
