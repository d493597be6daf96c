"""The claims of the original study: each has a place, and a rule on rows of its experiment."""

import re

import pytest

from cnn3 import OPTIMIZERS
from cnn3.analysis.latent import NEIGHBORS
from experiments import architecture, hyperparameters, improvements, latent, optimizers, tuned
from experiments.support.evaluate_rules import required_rows
from experiments.support.printed_claims import CLAIMS, NUMBERS
from experiments.support.reported import HYPERPARAMETERS, IMPROVEMENTS, setting_name
from experiments.support.rules import AtEpoch, Printed, Stops
from experiments.support.stated_claims import COMBINATIONS, STATEMENTS

ROWS = {
    architecture.NAME: set(architecture.MODELS),
    improvements.NAME: set(IMPROVEMENTS),
    hyperparameters.NAME: {setting_name(*setting) for setting in hyperparameters.GRID},
    optimizers.NAME: set(OPTIMIZERS),
    tuned.NAME: {tuned.NAME},
    latent.NAME: {"tuned"},
}


def test_claims_have_unique_names_and_texts():
    assert len({claim.id for claim in CLAIMS}) == len(CLAIMS) == len(NUMBERS) + len(STATEMENTS)
    assert len({claim.text for claim in STATEMENTS}) == len(STATEMENTS) == 31


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.id)
def test_a_claim_has_a_place_and_is_judged_by_existing_rows(claim):
    assert set(required_rows(claim.rule)) <= ROWS[claim.experiment]
    assert re.fullmatch(r"(sections?|figures?) [\d.]+( and [\d.]+)?", claim.where)
    assert str(claim.rule)[0].islower() or str(claim.rule).startswith(("RMSprop", "SGD"))


def test_every_printed_number_is_one_claim():
    rules = [claim.rule for claim in NUMBERS if isinstance(claim.rule, Printed)]
    assert len(rules) == len(NUMBERS) == 4 * 6 + 1 + 8 + 2
    accuracies = {
        (rule.row, rule.printed) for rule in rules if rule.split == "validation" and rule.metric == "accuracy"
    }
    assert {printed for _, printed in accuracies} == {*HYPERPARAMETERS.values(), 0.8014, 0.7935, 0.7437}
    assert {rule.batch_size for rule in rules if rule.row in IMPROVEMENTS} == {128}
    assert all(rule.row.endswith(f" {rule.batch_size}") for rule in rules if rule.row.startswith("learning rate"))


def test_every_section_with_results_has_claims():
    sections = {number for claim in CLAIMS for number in re.findall(r"[\d.]+", claim.where) if "section" in claim.where}
    assert sections == {"2", "3", "4.1", "4.2", "4.3", "5", "6.1", "6.2", "6.3", "6.4", "7", "8"}
    figures = {number for claim in CLAIMS for number in re.findall(r"\d+", claim.where) if "figure" in claim.where}
    assert figures == {"3", "6", "9", "12", "15"}  # those that print numbers


def test_rules_use_the_numbers_of_the_text():
    rules = {claim.id: claim.rule for claim in STATEMENTS}
    assert rules["sgd-level"] == AtEpoch("sgd", 150, 0.63, 64)
    assert rules["momentum-level"] == AtEpoch("momentum", 120, 0.8, 64)
    assert rules["momentum-stops"] == Stops("momentum", 117)
    assert set(COMBINATIONS) == {name for name in architecture.MODELS if "+" in name}
    assert NEIGHBORS == 10
