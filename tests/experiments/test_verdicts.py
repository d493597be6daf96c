"""Verdicts on fabricated runs: every rule has each outcome, and short runs are not judged."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest

from cnn3 import OPTIMIZERS, PROTOCOLS, VARIANTS, RunConfig
from experiments.support.findings import Outcome
from experiments.support.options import Options
from experiments.support.printed_claims import CLAIMS, NUMBERS
from experiments.support.rules import Claim
from experiments.support.stated_claims import STATEMENTS
from experiments.support.tables import Row
from experiments.support.verdict_tables import (
    counts_table,
    failing,
    headline,
    interval,
    numbers_table,
    statements_table,
)
from experiments.support.verdicts import UNJUDGED, Verdict, complete, count_outcomes, judge, judge_experiment
from tests.helpers import fabricated

OPTIONS = Options()
HOLDS, FAILS, UNDECIDED = Outcome.HOLDS, Outcome.FAILS, Outcome.UNDECIDED
BY_ID = {claim.id: claim for claim in CLAIMS}


def config(name: str) -> RunConfig:
    """Return the configuration of a row of the improvements or optimizers; for others it does not matter."""
    optimizers = {str(key): optimizer for key, optimizer in OPTIMIZERS.items()}
    if name in optimizers:
        return OPTIONS.tuned(optimizer=optimizers[name])
    return OPTIONS.config(model=VARIANTS.get(name, VARIANTS["baseline"]))


def row(name: str, *curves: Sequence[float], **changes: Any) -> Row:
    """Return a row with a run for each curve of validation accuracies, each with another seed."""
    seeds = [replace(config(name), seed=3136 + index, **changes) for index in range(len(curves))]
    return Row(name, [fabricated.run(seed, curve) for seed, curve in zip(seeds, curves, strict=True)], None)


def flat(best: float) -> list[float]:
    """Return a curve with its best value in the second epoch, followed by early stopping."""
    return [best - 0.2, best, *[best - 0.02] * 10]


def outcome(name: str, *rows: Row) -> Outcome | None:
    """Return the outcome of a claim."""
    return judge(BY_ID[name], {row.name: row for row in rows}).outcome


def pair(first: str, second: str) -> Callable[[float, float], tuple[Row, Row]]:
    return lambda a, b: (row(first, flat(a)), row(second, flat(b)))


@pytest.mark.parametrize(
    ("validation", "expected"),
    [(0.82, HOLDS), (0.8206 - 0.0199, HOLDS), (0.8206 + 0.025, UNDECIDED), (0.79, UNDECIDED), (0.78, FAILS)],
)
def test_a_printed_accuracy_holds_within_two_points_of_the_comparable_number(validation, expected):
    assert outcome("baseline-validation-accuracy", row("baseline", flat(validation))) == expected


def test_three_seeds_are_judged_by_their_own_spread():
    close = [flat(accuracy) for accuracy in (0.790, 0.791, 0.792)]
    assert (
        outcome("baseline-validation-accuracy", row("baseline", *close)) == FAILS
    )  # 3 points, far beyond their spread
    spread = [flat(accuracy) for accuracy in (0.75, 0.79, 0.83)]
    assert outcome("baseline-validation-accuracy", row("baseline", *spread)) == UNDECIDED


def test_runs_of_the_published_protocol_are_compared_with_the_printed_number():
    published = row("baseline", flat(0.8014 - 0.0199), protocol=PROTOCOLS["published"])
    corrected = row("baseline", flat(0.8014 - 0.0199))
    assert outcome("baseline-validation-accuracy", published) == HOLDS
    assert outcome("baseline-validation-accuracy", corrected) == FAILS


@pytest.mark.parametrize(("loss", "expected"), [(0.53, HOLDS), (0.59, HOLDS), (0.61, UNDECIDED), (0.65, FAILS)])
def test_a_printed_loss_has_its_own_margin(loss, expected):
    assert outcome("baseline-validation-loss", row("baseline", flat(1 - loss))) == expected


@pytest.mark.parametrize(
    ("name", "rows", "outcomes"),
    [
        ("batch-norm-better", pair("batch_norm", "baseline"), [(0.80, 0.75, HOLDS), (0.80, 0.79, UNDECIDED)]),
        ("batch-norm-better", pair("batch_norm", "baseline"), [(0.75, 0.80, FAILS)]),
        ("batch-norm-gain", pair("batch_norm", "baseline"), [(0.80, 0.75, HOLDS), (0.80, 0.765, UNDECIDED)]),
        ("batch-norm-gain", pair("batch_norm", "baseline"), [(0.77, 0.80, FAILS)]),
        ("dropout-no-better", pair("dropout", "baseline"), [(0.75, 0.80, HOLDS), (0.785, 0.80, HOLDS)]),
        ("dropout-no-better", pair("dropout", "baseline"), [(0.80, 0.80, UNDECIDED), (0.85, 0.80, FAILS)]),
        ("rmsprop-high", pair("rmsprop", "adam"), [(0.81, 0.82, HOLDS), (0.80, 0.825, UNDECIDED)]),
        ("rmsprop-high", pair("rmsprop", "adam"), [(0.75, 0.82, FAILS)]),
        ("rmsprop-course", pair("rmsprop", "adam"), [(0.81, 0.82, HOLDS), (0.79, 0.82, UNDECIDED)]),
        ("rmsprop-course", pair("rmsprop", "adam"), [(0.75, 0.82, FAILS)]),
    ],
)
def test_comparisons_have_each_outcome(name, rows, outcomes):
    for first, second, expected in outcomes:
        assert outcome(name, *rows(first, second)) == expected, (first, second)


def test_a_small_difference_in_every_seed_is_decisive():
    better = row("batch_norm", *map(flat, (0.800, 0.802, 0.804)))
    worse = row("baseline", *map(flat, (0.790, 0.7915, 0.794)))
    assert outcome("batch-norm-better", better, worse) == HOLDS
    assert outcome("batch-norm-better", row("batch_norm", flat(0.80)), row("baseline", flat(0.79))) == UNDECIDED


def test_the_best_must_be_better_than_every_other():
    others = [row("dropout", flat(0.7)), row("dense", flat(0.6))]
    assert outcome("batch-norm-chosen", row("batch_norm", flat(0.8)), row("baseline", flat(0.7)), *others) == HOLDS
    assert outcome("batch-norm-chosen", row("batch_norm", flat(0.8)), row("baseline", flat(0.79)), *others) == UNDECIDED
    assert outcome("batch-norm-chosen", row("batch_norm", flat(0.8)), row("baseline", flat(0.85)), *others) == FAILS


def rising(epochs: int, reached: int, best: float = 0.7) -> list[float]:
    """Return a curve that reaches 0.6 in epoch `reached` and keeps rising."""
    before = [0.1 + 0.001 * epoch for epoch in range(reached - 1)]
    return before + [best - 1e-4 * (epochs - epoch) for epoch in range(reached, epochs + 1)]


@pytest.mark.parametrize(
    ("momentum", "sgd", "expected"), [(10, 70, HOLDS), (10, 12, UNDECIDED), (70, 10, FAILS), (None, 30, FAILS)]
)
def test_sooner_compares_epochs_to_an_accuracy(momentum, sgd, expected):
    quick = row("momentum", rising(90, momentum) if momentum else rising(90, 5, best=0.5))
    assert outcome("momentum-faster", quick, row("sgd", rising(90, sgd))) == expected


def test_nothing_is_decided_if_neither_reaches_the_accuracy():
    too_low = rising(90, 5, best=0.5)
    assert outcome("momentum-faster", row("momentum", too_low), row("sgd", too_low)) == UNDECIDED
    assert outcome("momentum-faster", row("momentum", rising(90, 20)), row("sgd", too_low)) == HOLDS  # at least 90


@pytest.mark.parametrize(
    ("batch_norm", "baseline", "expected"), [(20, 60, HOLDS), (30, 41, UNDECIDED), (60, 20, FAILS)]
)
def test_fewer_compares_best_epochs(batch_norm, baseline, expected):
    rows = row("batch_norm", rising(batch_norm, 5)), row("baseline", rising(baseline, 5))
    assert outcome("batch-norm-sooner", *rows) == expected


@pytest.mark.parametrize(
    ("accuracy", "epochs", "expected"),
    [(0.63, 150, HOLDS), (0.665, 150, UNDECIDED), (0.70, 150, FAILS), (0.63, 130, HOLDS), (0.63, 100, UNDECIDED)],
)
def test_an_accuracy_is_compared_at_its_epoch(accuracy, epochs, expected):
    assert outcome("sgd-level", row("sgd", rising(epochs, 50, best=accuracy))) == expected


@pytest.mark.parametrize(("epochs", "expected"), [(117, HOLDS), (100, HOLDS), (144, UNDECIDED), (60, FAILS)])
def test_the_epoch_of_early_stopping_is_compared(epochs, expected):
    curve = [*rising(epochs - 10, 20), *[0.5] * 10]
    assert outcome("momentum-stops", row("momentum", curve)) == expected


def test_a_run_to_the_last_epoch_was_not_stopped_early():
    assert outcome("momentum-stops", row("momentum", rising(150, 20))) == FAILS


def test_losses_are_compared_epoch_by_epoch():
    names = ("baseline", "batch_norm", "dropout", "dense")  # fabricated training losses are higher
    assert outcome("loss-order", *(row(name, flat(0.7)) for name in names)) == HOLDS
    swapped = [row(name, flat(0.7)) for name in names]
    for record in (record for member in swapped for record in member.runs[0].history):
        record["train"], record["validation"] = record["validation"], record["train"]
    assert outcome("loss-order", *swapped) == FAILS


def latent_row(neighbours: Sequence[float], silhouettes: Sequence[float] = (-0.05, 0.05, 0.1)) -> Row:
    """Return a tuned row with scores before training, in the middle and at the end."""
    stages, snapshots = [], {"initial": 0, "epoch20": 21, "best": 40}
    for (name, epochs), accuracy, silhouette in zip(snapshots.items(), neighbours, silhouettes, strict=True):
        seed = {"epochs": epochs, "neighbours": accuracy, "probe": accuracy, "silhouette": silhouette}
        stages.append({"stage": name, "seeds": [seed]})
    return row("tuned", rising(40, 5))._replace(extra={"latent": stages})


@pytest.mark.parametrize(
    ("scores", "expected"),
    [((0.4, 0.75, 0.8), HOLDS), ((0.4, 0.79, 0.8), UNDECIDED), ((0.4, 0.8, 0.7), FAILS), ((0.8, 0.6, 0.7), FAILS)],
)
def test_representations_must_get_better_at_each_step(scores, expected):
    assert outcome("latent-better", latent_row(scores)) == expected


@pytest.mark.parametrize(
    ("silhouettes", "expected"),
    [((-0.05, 0.05, 0.1), HOLDS), ((-0.05, 0.05, 0.05), UNDECIDED), ((-0.05, 0.1, 0.0), FAILS)],
)
def test_separation_must_grow_at_each_step(silhouettes, expected):
    assert outcome("latent-separates", latent_row((0.4, 0.7, 0.8), silhouettes)) == expected


@pytest.mark.parametrize(
    ("scores", "expected"),
    [((1, 2, 3, 4), HOLDS), ((4, 3, 2, 1), FAILS), ((2, 1, 4, 3), UNDECIDED), ((1, 2), UNDECIDED)],
)
def test_representations_and_accuracy_must_rank_alike(scores, expected):
    stages = [
        {"stage": f"epoch{e}", "seeds": [{"epochs": e + 1, "neighbours": score}]} for e, score in enumerate(scores)
    ]
    tuned = row("tuned", rising(40, 5))._replace(extra={"latent": stages})
    assert outcome("latent-performance", tuned) == expected


def test_missing_scores_decide_nothing():
    without_scores = row("tuned", rising(40, 5))
    assert outcome("latent-better", without_scores) == outcome("latent-separates", without_scores) == UNDECIDED


@pytest.mark.parametrize("changes", [{"epochs": 149}, {"limit": 10_000}, {"dataset": "digits"}])
def test_short_runs_and_other_data_are_never_judged(changes):
    verdict = judge(BY_ID["baseline-test-accuracy"], {"baseline": row("baseline", flat(0.82), **changes)})
    assert verdict.outcome is None
    assert str(verdict) == UNJUDGED


def test_one_short_run_or_a_missing_row_leaves_a_claim_unjudged():
    claim, full = BY_ID["batch-norm-better"], row("batch_norm", flat(0.8))
    assert judge(claim, {"batch_norm": full}).outcome is None
    assert judge(claim, {"batch_norm": full, "baseline": row("baseline", flat(0.7), epochs=5)}).outcome is None
    assert judge(claim, {"batch_norm": full, "baseline": row("baseline")}).outcome is None


def test_runs_that_diverged_decide_nothing():
    assert outcome("baseline-test-accuracy", row("baseline", [])) == UNDECIDED
    assert outcome("batch-norm-better", row("batch_norm", []), row("baseline", flat(0.7))) == UNDECIDED


def test_no_seed_in_common_decides_nothing():
    other_seed = [fabricated.run(replace(config("baseline"), seed=1), flat(0.7))]
    assert outcome("batch-norm-better", row("batch_norm", flat(0.8)), Row("baseline", other_seed, None)) == UNDECIDED


def verdict_on(claim: Claim, result: Outcome | None) -> Verdict:
    return Verdict(claim, result, "found", 1, 2)


def test_the_headline_counts_the_judged_claims():
    results = [HOLDS, HOLDS, HOLDS, FAILS, UNDECIDED, None]
    verdicts = [verdict_on(claim, result) for claim, result in zip(STATEMENTS, results, strict=False)]
    (sentence,) = headline(verdicts)
    assert sentence.startswith("Of 5 claims, 3 hold, 1 does not, and 1 is undecided.")
    assert "largely reproduced: 75% of the decided claims hold" in sentence
    assert "Another 1 is not judged, since its runs have" in sentence
    assert count_outcomes(verdicts) == {HOLDS: 3, FAILS: 1, UNDECIDED: 1}
    assert failing(verdicts) == [f"Statements that do not hold: {STATEMENTS[3].text.rstrip('.')}."]
    assert counts_table(verdicts).rows[-1] == ["all", "3", "1", "1", "1", "6"]


@pytest.mark.parametrize(
    ("results", "degree"),
    [([HOLDS] * 4, "is reproduced:"), ([HOLDS, FAILS], "reproduced in part"), ([FAILS] * 2, "not reproduced")],
)
def test_the_headline_says_whether_the_study_is_reproduced(results, degree):
    assert (
        degree in headline([verdict_on(claim, result) for claim, result in zip(STATEMENTS, results, strict=False)])[0]
    )


def test_the_headline_says_if_nothing_is_judged_or_decided():
    assert headline([verdict_on(claim, None) for claim in CLAIMS])[0].startswith(
        "None of the original study's 66 claims"
    )
    assert "Nothing could be decided yet." in headline([verdict_on(STATEMENTS[0], UNDECIDED)])[0]
    assert failing([verdict_on(STATEMENTS[0], HOLDS)]) == []


def test_tables_hold_every_claim_and_no_measurement_of_a_short_run():
    rows = {"improvements": [row("baseline", flat(0.8)), row("dense", flat(0.7654), epochs=3)]}
    verdicts = complete(judge_experiment(OPTIONS, "improvements", rows["improvements"]))
    numbers = numbers_table(verdicts, rows)
    assert len(numbers.rows) == len(NUMBERS)
    assert list(numbers.header)[:5] == ["result", "original study", "made comparable", "ours", "difference"]
    lines = {line[0]: line[1:] for line in numbers.rows}
    assert lines["baseline: validation accuracy"][:5] == ["0.8014", "0.8206", "0.8000", "-2.06", "undecided"]
    assert lines["dense block: validation accuracy"][:5] == ["0.7437", "0.7616", "-", "-", UNJUDGED]
    assert len(statements_table(verdicts).rows) == len(STATEMENTS)
    assert "0.7654" not in str(numbers.rows) + str(statements_table(verdicts).rows)


def test_judged_claims_come_first_and_several_seeds_are_counted():
    rows = [row("baseline", flat(0.8), flat(0.8)), row("batch_norm", flat(0.8), flat(0.8))]
    table = statements_table(judge_experiment(OPTIONS, "improvements", rows))
    assert [line[2] == UNJUDGED for line in table.rows] == sorted(line[2] == UNJUDGED for line in table.rows)
    assert dict(zip(table.header, table.rows[0], strict=True))["runs"] == "4 (2 seeds)"


def test_the_interval_is_by_students_t() -> None:
    assert interval([1.0, 2.0, 3.0]) == pytest.approx((2 - 2.484138, 2 + 2.484138), abs=1e-5)
    assert interval([1.0]) is None
