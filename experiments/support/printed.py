"""Every result that the original study prints as a number, as a claim; one that is printed twice is one claim."""

from experiments.support.claims import STATEMENTS
from experiments.support.names import shown
from experiments.support.reported import BASELINE_TEST_ACCURACY, HYPERPARAMETERS, IMPROVEMENTS, TUNED, setting_name
from experiments.support.rules import Claim, Printed, Split

SPLITS: tuple[Split, ...] = ("train", "validation", "test")


def _printed() -> list[Claim]:
    """Return a claim for each number that is printed of a run, in the order of the study."""
    claims = []
    for name, numbers in IMPROVEMENTS.items():
        for split in SPLITS:
            value = getattr(numbers, split)
            both = Printed(name, split, "loss", value.loss, 128), Printed(name, split, "accuracy", value.accuracy, 128)
            claims += [_number(f"{name}-{split}", numbers.source, "improvements", rule) for rule in both]
    section8 = Printed("baseline", "test", "accuracy", BASELINE_TEST_ACCURACY["section 8"], 128)
    claims.append(_number("baseline-test-again", "section 8", "improvements", section8))
    for (rate, size), printed in HYPERPARAMETERS.items():
        name = setting_name(rate, size)
        if (rate, size) == (0.001, 128):
            continue  # the run of figure 6, with the same number
        rule = Printed(name, "validation", "accuracy", printed, size)
        claims.append(_number(f"grid-{rate:g}-{size}", "figure 15", "hyperparameters", rule))
    test = TUNED.test
    assert test is not None
    claims.append(_number("tuned-test", "section 5", "tuned", Printed("tuned", "test", "loss", test.loss, 64)))
    rule = Printed("tuned", "test", "accuracy", test.accuracy, 64)
    return [*claims, _number("tuned-test", "sections 5 and 8", "tuned", rule)]


def _number(name: str, where: str, experiment: str, rule: Printed) -> Claim:
    text = f"{shown(rule.row)}: {rule.split} {rule.metric}"
    places = "figures 6 and 15" if name == "batch_norm-validation" and rule.metric == "accuracy" else where
    return Claim(f"{name}-{rule.metric}", places, rule.metric, text, experiment, rule)


NUMBERS = tuple(_printed())
CLAIMS = (*NUMBERS, *STATEMENTS)
