r"""Compare groups of animals in a table of results: test, n, effect size, interval.

    python utils/CompareGroups.py all.csv --measures distance_mm region_time_s.left
    python utils/CompareGroups.py all.csv --measures distance_mm --levels treated control
    python utils/CompareGroups.py all.csv --measures mean_speed_mm_per_s --by span --paired \
        --levels "before laser" "during laser"

The table is one that AnalyseRuns.py has written. The animal is the unit of observation:
several runs of an animal are averaged. docs/results.md says how tests are chosen.
"""

import sys
from pathlib import Path

from deeplabstream.analysis import group_statistics
from deeplabstream.analysis.group_statistics import StudyOptions, results_sentence
from deeplabstream.analysis.study import check_ending, read_table, write_table
from deeplabstream.core.visible_text import visible
from deeplabstream.files.overwriting import check_free
from deeplabstream.programs.program import Program
from deeplabstream.programs.shared_options import overwrite
from deeplabstream.settings.option_fields import option, program_options


@program_options
class CompareGroups(StudyOptions):
    """A table of results, and what is compared in it."""

    table: Path = option(positional=True, metavar="TABLE")
    """.csv, .parquet or .xlsx file."""
    measures: tuple[str, ...] = option(metavar="COLUMN")
    """Columns to compare."""
    output: Path | None = option(default=None, metavar="FILE")
    """.csv, .parquet or .xlsx file to write."""
    overwrite: bool = overwrite()


def compare_groups(options: CompareGroups) -> int:
    """Print the comparisons, and write them as a table."""
    if options.output is not None:
        check_ending(options.output)
        check_free([options.output], options.overwrite)

    comparison = group_statistics.compare_groups(
        read_table(options.table),
        options.measures,
        options.by,
        options.levels,
        options.paired,
        options.test,
    )
    for row in comparison.table.to_dict("records"):
        print(visible(results_sentence(row)))
    for note in comparison.notes:
        print(visible(note), file=sys.stderr)

    if options.output is not None:
        write_table(options.output, comparison.table)
        print(options.output)
    return 0


PROGRAM = Program(CompareGroups, compare_groups, __doc__, "CompareGroups")
