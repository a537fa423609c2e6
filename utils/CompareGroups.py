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

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from deeplabstream.startup.program import ending, prepare

prepare()

import argparse
from collections.abc import Sequence

from deeplabstream.analysis.group_statistics import (
    add_comparison,
    compare_groups,
    results_sentence,
)
from deeplabstream.analysis.study import check_ending, read_table, write_table
from deeplabstream.startup.arguments import ProgramParser
from deeplabstream.files.overwriting import add_overwrite, check_free


@ending()
def main(argv: Sequence[str] | None = None) -> int:
    """Print the comparisons, and write them as a table."""
    asked = _parser().parse_args(argv)
    if asked.output is not None:
        check_ending(asked.output)
        check_free([asked.output], asked.overwrite)
    found = compare_groups(
        read_table(asked.table),
        asked.measures,
        asked.by,
        asked.levels,
        asked.paired,
        asked.test,
    )
    for row in found.table.to_dict("records"):
        print(results_sentence(row))
    for note in found.notes:
        print(note, file=sys.stderr)
    if asked.output is not None:
        write_table(asked.output, found.table)
        print(asked.output)
    return 0


def _parser() -> ProgramParser:
    parser = ProgramParser(
        prog="CompareGroups.py",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("table", type=Path, metavar="TABLE", help="a .csv, .parquet or .xlsx")
    add(
        "--measures", nargs="+", required=True, metavar="COLUMN", help="what to compare"
    )
    add_comparison(add)
    add("--output", type=Path, metavar="FILE", help="a .csv, .parquet or .xlsx")
    add_overwrite(parser)
    return parser


if __name__ == "__main__":
    sys.exit(main())
