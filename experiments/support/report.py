"""The results of an experiment."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from matplotlib.figure import Figure

from experiments.support.run import Run
from experiments.support.tables import Row, Table
from experiments.support.verdicts import Verdict


@dataclass(frozen=True)
class Report:
    """The results of an experiment.

    Args:
        name: the name of the experiment and of its folder.
        title: the title of its section.
        rows: its runs, for `summary.json`.
        notes: what a reader must know about the numbers, in paragraphs.
        tables: the tables by heading.
        figures: the figures by file name; an animation is given as the bytes of its file.
        verdicts: the verdicts on the claims of the original study that these runs decide.
    """

    name: str
    title: str
    rows: Sequence[Row]
    notes: Sequence[str]
    tables: Mapping[str, Table]
    figures: Mapping[str, Figure | bytes]
    verdicts: Sequence[Verdict] = ()

    @property
    def runs(self) -> list[Run]:
        """Return each run of the rows once."""
        return distinct_runs([self])


def distinct_runs(reports: Iterable[Report]) -> list[Run]:
    """Return each run of several reports once; experiments may share runs."""
    runs = {run.config: run for report in reports for row in report.rows for run in row.runs}
    return list(runs.values())
