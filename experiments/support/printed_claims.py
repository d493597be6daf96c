"""Every result that the original study prints as a number, as a claim; a number printed twice is one claim."""

from experiments.support.display_names import display_name
from experiments.support.reported import BASELINE_TEST_ACCURACY, HYPERPARAMETERS, IMPROVEMENTS, TUNED, setting_name
from experiments.support.rules import Claim, Printed, Split
from experiments.support.stated_claims import STATEMENTS

SPLITS: tuple[Split, ...] = ("train", "validation", "test")


def _printed_claims() -> list[Claim]:
    """Return a claim for each printed number of a run, in the order of the study."""
    claims = []
    for name, reported in IMPROVEMENTS.items():
        for split in SPLITS:
            metrics = getattr(reported, split)
            for rule in (
                Printed(name, split, "loss", metrics.loss, 128),
                Printed(name, split, "accuracy", metrics.accuracy, 128),
            ):
                claims.append(_claim(f"{name}-{split}", reported.source, "improvements", rule))
    section_8 = Printed("baseline", "test", "accuracy", BASELINE_TEST_ACCURACY["section 8"], 128)
    claims.append(_claim("baseline-test-again", "section 8", "improvements", section_8))
    for (rate, size), printed in HYPERPARAMETERS.items():
        if (rate, size) == (0.001, 128):
            continue  # the run of figure 6, with the same number
        rule = Printed(setting_name(rate, size), "validation", "accuracy", printed, size)
        claims.append(_claim(f"grid-{rate:g}-{size}", "figure 15", "hyperparameters", rule))
    test = TUNED.test
    assert test is not None
    claims.append(_claim("tuned-test", "section 5", "tuned", Printed("tuned", "test", "loss", test.loss, 64)))
    rule = Printed("tuned", "test", "accuracy", test.accuracy, 64)
    return [*claims, _claim("tuned-test", "sections 5 and 8", "tuned", rule)]


def _claim(name: str, where: str, experiment: str, rule: Printed) -> Claim:
    text = f"{display_name(rule.row)}: {rule.split} {rule.metric}"
    if name == "batch_norm-validation" and rule.metric == "accuracy":
        where = "figures 6 and 15"
    return Claim(f"{name}-{rule.metric}", where, rule.metric, text, experiment, rule)


NUMBERS = tuple(_printed_claims())
CLAIMS = (*NUMBERS, *STATEMENTS)
