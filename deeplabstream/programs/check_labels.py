"""Check labels before training: python utils/CheckLabels.py labels.

The program lists suspicious labels: body parts that are swapped (left and right, or any two),
points far from where similar poses put them, two body parts in the same place. Where a second
person labelled the same images (`CollectedData_NAME.csv` beside the labels, or --second), it
prints the distance between the two persons for each body part. It changes no label.
"""

import csv
import json
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from deeplabstream.files.delimited_text import plain_cell
from deeplabstream.files.overwriting import check_free
from deeplabstream.programs.program import Program
from deeplabstream.programs.shared_options import overwrite, second_tables
from deeplabstream.settings.option_fields import option, program_options
from deeplabstream.training.data.label_checks import (
    Suspicion,
    suspicious_labels,
    too_few,
)
from deeplabstream.training.data.projects import open_project
from deeplabstream.training.evaluation.second_labels import SecondLabels, second_labels

COLUMNS = ("image", "animal", "bodyparts", "kind", "px", "times")


@program_options
class CheckLabels:
    """Labels to check, and labels of other persons to compare them with."""

    labels: Path = option(positional=True)
    """Folder, .csv, .slp, DeepLabCut project."""
    second: tuple[Path, ...] = second_tables()
    csv: Path | None = option(default=None, metavar="FILE")
    """Also write the suspicious labels to this file."""
    json: bool = option(default=False)
    """Print everything as one line of JSON."""
    overwrite: bool = overwrite()


def check_labels(options: CheckLabels) -> int:
    """Print suspicious labels, and distances between two persons' labels."""
    check_free([options.csv], options.overwrite)
    with TemporaryDirectory(ignore_cleanup_errors=True) as unpacked:
        labels = open_project(options.labels, Path(unpacked), several=True).labels
    suspicious = suspicious_labels(labels)
    second = second_labels(labels, options.second)
    note = too_few(labels)

    if options.csv:
        with options.csv.open("w", newline="", encoding="utf-8") as lines:
            table = csv.writer(lines, lineterminator="\n")
            table.writerow(COLUMNS)
            table.writerows(map(plain_cell, _row(label)) for label in suspicious)
    if options.json:
        persons = second.summary() if second else ()
        report = {
            "suspicious": [
                {**asdict(label), "what": label.what} for label in suspicious
            ],
            "persons": [asdict(person) for person in persons],
            "too_few": note,
        }
        print(json.dumps(report))
        return 0

    placed = int(np.isfinite(labels.points).all(axis=2).sum())
    images = len(labels.names)
    print(f"{len(suspicious)} of {placed} labels in {images} images are suspicious")
    for label in suspicious:
        print(f"  {label}")
    if note:
        print(note)
    if second is not None:
        _print_second(second)
    return 0


def _row(label: Suspicion) -> tuple[object, ...]:
    names = " ".join(label.bodyparts)
    distances = f"{label.px:.2f}", f"{label.times:.2f}"
    return label.image, label.animal + 1, names, label.kind, *distances


def _print_second(second: SecondLabels) -> None:
    files = ", ".join(file.name for file in second.files)
    print(f"distance between two persons' labels, px ({files}):")
    for person in second.summary():
        unlike = f"   visible for one only: {person.unlike}" if person.unlike else ""
        print(f"  {person.bodypart:<12} {person.text}{unlike}")
    for problem in second.problems:
        print(f"not compared: {problem}")


PROGRAM = Program(CheckLabels, check_labels, __doc__, "CheckLabels")
