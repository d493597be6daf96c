"""Which runs were made with other code, versions or settings than the current ones."""

from collections import defaultdict
from collections.abc import Sequence

from cnn3.runs.versions import CODE, current_versions, describe_other_code, settings_mismatch
from experiments.support.run import Run


def describe_mismatches(runs: Sequence[Run], total: int) -> list[str]:
    """Return a clause for each way in which runs differ from the current code, versions and settings.

    Runs share a clause if they differ in the same way but for their code; it lists the codes.

    Args:
        runs: those to describe.
        total: the number of runs that they are counted among.
    """
    alike: defaultdict[tuple[str | None, str | None], list[Run]] = defaultdict(list)
    for run in runs:
        current = current_versions(run.config)
        other_code = run.versions.get(CODE) != current[CODE]
        cnn3 = run.versions.get("cnn3", "unknown") if other_code else None
        alike[cnn3, settings_mismatch(run.versions, current)].append(run)
    clauses = []
    for (cnn3, settings), members in alike.items():
        codes = list(dict.fromkeys(run.versions.get(CODE, "unknown") for run in members))
        code = None if cnn3 is None else describe_other_code(cnn3, codes, current_versions(members[0].config))
        if mismatch := " and ".join(filter(None, (code, settings))):
            clauses.append(f"{len(members)} of {total} runs were made with {mismatch}")
    return clauses
