"""Check labels before training: python utils/CheckLabels.py labels.

The program lists suspicious labels: body parts that are swapped (left and right, or any two),
points far from where similar poses put them, two body parts in the same place. Where a second
person labelled the same images (`CollectedData_NAME.csv` beside the labels, or --second), it
prints the distance between the two persons for each body part. It changes no label.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from deeplabstream.startup.program import ending, prepare

prepare()

import argparse
import csv
import json
from collections.abc import Sequence
from dataclasses import asdict
from tempfile import TemporaryDirectory

import numpy as np

from deeplabstream.startup.arguments import ProgramParser
from deeplabstream.files.overwriting import add_overwrite, check_free
from deeplabstream.training.data.label_checks import (
    Suspicion,
    suspicious_labels,
    too_few,
)
from deeplabstream.training.data.projects import open_project
from deeplabstream.training.evaluation.second_labels import (
    SecondLabels,
    add_second,
    second_labels,
)

COLUMNS = ("image", "animal", "bodyparts", "kind", "px", "times")


@ending()
def main(argv: Sequence[str] | None = None) -> int:
    """Print what was found."""
    asked = _parser().parse_args(argv)
    check_free([asked.csv] if asked.csv else [], asked.overwrite)
    with TemporaryDirectory(ignore_cleanup_errors=True) as unpacked:
        labels = open_project(asked.labels, Path(unpacked), several=True).labels
    found = suspicious_labels(labels)
    second = second_labels(labels, asked.second)
    if asked.csv:
        with asked.csv.open("w", newline="", encoding="utf-8") as lines:
            table = csv.writer(lines, lineterminator="\n")
            table.writerows([COLUMNS, *map(_row, found)])
    if asked.json:
        persons = second.summary() if second else ()
        told = {
            "suspicious": [{**asdict(one), "what": one.what} for one in found],
            "persons": [asdict(person) for person in persons],
            "too_few": too_few(labels),
        }
        print(json.dumps(told))
        return 0
    placed = int(np.isfinite(labels.points).all(axis=2).sum())
    print(
        f"{len(found)} of {placed} labels in {len(labels.names)} images are suspicious"
    )
    for one in found:
        print(f"  {one}")
    if note := too_few(labels):
        print(note)
    if second is not None:
        _print_second(second)
    return 0


def _row(one: Suspicion) -> tuple[object, ...]:
    names = " ".join(one.bodyparts)
    return (
        one.image,
        one.animal + 1,
        names,
        one.kind,
        f"{one.px:.2f}",
        f"{one.times:.2f}",
    )


def _print_second(second: SecondLabels) -> None:
    files = ", ".join(file.name for file in second.files)
    print(f"distance between two persons' labels, px ({files}):")
    for person in second.summary():
        unlike = f"   visible for one only: {person.unlike}" if person.unlike else ""
        print(f"  {person.bodypart:<12} {person.text}{unlike}")
    for problem in second.problems:
        print(f"not compared: {problem}")


def _parser() -> ProgramParser:
    parser = ProgramParser(
        prog="CheckLabels",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("labels", type=Path, help="folder, .csv, .slp, DeepLabCut project")
    add_second(parser)
    add("--csv", type=Path, help="also write the suspicious labels to this file")
    add("--json", action="store_true", help="print everything as one line of JSON")
    add_overwrite(parser)
    return parser


if __name__ == "__main__":
    sys.exit(main())
