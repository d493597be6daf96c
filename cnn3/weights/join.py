"""Several networks as one: its columns are the networks."""

from collections.abc import Sequence
from dataclasses import replace

from cnn3.nn.network import CNN3, column_prefixes
from cnn3.training.state import Weights
from cnn3.weights.torch_layout import WeightsError
from cnn3.weights.weight_files import LoadedModel


def join(members: Sequence[LoadedModel]) -> LoadedModel:
    """Return a network whose columns are the members, as `ModelConfig.columns` describes it.

    Its logits are the mean of the members' log probabilities, so it is an ensemble of them in one file.

    Args:
        members: two networks or more, each of one column, that differ only in their weights. Names of classes that a
            member lacks are those of the others.

    Raises:
        WeightsError: there are fewer than two members, they differ, or one has several columns; members are counted
            from 1.
    """
    if len(members) < 2:
        raise WeightsError(f"at least two networks can be joined, not {len(members)}")
    first = members[0].model
    if first.config.columns > 1:
        raise WeightsError(f"network 1 has {first.config.columns} columns already; join networks of one")
    for i, member in enumerate(members[1:], start=2):
        _check_same(first, member.model, i)
    classes = {member.classes: None for member in members if member.classes is not None}
    if len(classes) > 1:
        raise WeightsError("the networks have different class names, so they were trained on different data sets")
    config = replace(first.config, columns=len(members))
    joined = [
        {
            f"{prefix}{layer}": leaves
            for prefix, tree in zip(column_prefixes(config), trees, strict=True)
            for layer, leaves in tree.items()
        }
        for trees in zip(*(member.weights for member in members), strict=True)
    ]
    return LoadedModel(first.clone(config=config), Weights(*joined), next(iter(classes), None))


def _check_same(first: CNN3, model: CNN3, number: int) -> None:
    """Make sure that a network can be a column beside the first one."""
    for field, expected in vars(first.config).items():
        value = getattr(model.config, field)
        if value != expected:
            raise WeightsError(f"network {number} has {field} {value}, network 1 has {expected}")
    if model.discard_last_norm != first.discard_last_norm:
        raise WeightsError(f"networks 1 and {number} were trained by different protocols")
