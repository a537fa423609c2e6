"""Reads the tables of a run back, exactly as they were written, older ones too.

A last line without its end (the power went) is left out.
"""

import csv
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np

from deeplabstream.core.command import Command, Mark, OutputName, Pulse, Set, Train
from deeplabstream.core.journal_entries import Step
from deeplabstream.core.pose import Pose, Skeleton
from deeplabstream.recording.csv_tables import FRAME_COLUMNS

_ANSWERS = {"1": True, "0": False, "": None}


class Run(Protocol):
    """The part of a run folder that reading needs."""

    @property
    def events_path(self) -> Path: ...  # noqa: D102
    @property
    def skeleton(self) -> Skeleton: ...  # noqa: D102
    def table_path(self, camera: str) -> Path: ...  # noqa: D102


def rows(path: Path) -> Iterator[list[str]]:
    """Yield the rows of a table, its header first."""
    with path.open(encoding="utf-8", newline="") as file:
        yield from csv.reader(line for line in file if line.endswith("\n"))


def read_events(path: Path) -> list[dict[str, str]]:
    """Return the rows of the events by column."""
    table = rows(path)
    header = next(table)
    return [dict(zip(header, row, strict=True)) for row in table]


def read_steps(run: Run, camera: str) -> Iterator[Step]:
    """Yield the analysed frames of a camera in order."""
    skeleton = run.skeleton
    commands = _commands(run.events_path, camera)
    table = rows(run.table_path(camera))
    header = next(table)
    place = {name: column for column, name in enumerate(header)}
    asked = _named(header, "trigger_")
    classes = _named(header, "behaviour_")
    inputs = _named(header, "input_")
    first = len(FRAME_COLUMNS)
    values = slice(first, min([*asked.values(), place["status"]]))
    for row in table:
        if row[7] != "1":
            continue
        parts = len(skeleton.bodyparts)
        numbers = np.array(row[values], np.float32).reshape(-1, parts, 3)
        exposed, arrived, posed, decided, written = (
            int(cell or 0) for cell in row[2:7]
        )
        doubts = _doubts(row[place["doubts"]] if "doubts" in place else "")
        who = tuple([doubts.pop(name, "") for name in skeleton.animals])
        yield Step(
            camera,
            int(row[0]),
            exposed,
            arrived,
            posed,
            decided,
            written,
            Pose(skeleton, numbers[..., :2].copy(), numbers[..., 2].copy(), who),
            {name: _ANSWERS[row[column]] for name, column in asked.items()},
            tuple(commands[exposed]),
            status=row[place["status"]],
            lost=row[place["lost"]] == "1",
            too_old=row[place["too_old"]] == "1",
            doubts=doubts,
            behaviours=_numbers(row, classes),
            inputs=_numbers(row, inputs),
        )


def who_is_who(skeleton: Skeleton, words: object) -> tuple[str, ...]:
    """Return `Pose.identity` as a cell of the column `doubts` has it."""
    doubts = _doubts(words) if isinstance(words, str) else {}
    return tuple([doubts.get(name, "") for name in skeleton.animals])


def _named(header: Sequence[str], prefix: str) -> dict[str, int]:
    """Return the columns that begin with `prefix`, by the rest of their names."""
    return {
        name.removeprefix(prefix): column
        for column, name in enumerate(header)
        if column >= len(FRAME_COLUMNS) and name.startswith(prefix)
    }


def _numbers(row: Sequence[str], columns: Mapping[str, int]) -> dict[str, float]:
    return {name: float(row[column] or "nan") for name, column in columns.items()}


def _doubts(words: str) -> dict[str, str]:
    pairs = (words.rpartition(" ") for words in words.split("; ") if words)
    return {name: what for name, _, what in pairs}


def _commands(path: Path, camera: str) -> dict[int, list[Command]]:
    """Return the commands of each frame, by when it was exposed."""
    commands: dict[int, list[Command]] = defaultdict(list)
    for row in read_events(path):
        if row["kind"] in ("command", "mark") and row["camera"] == camera:
            commands[int(row["exposed_ns"])].append(_command(row))
    return commands


def _command(row: dict[str, str]) -> Command:
    if row["kind"] == "mark":
        return Mark(row["text"])
    output, level = OutputName(row["name"]), float(row["level"])
    if row["text"] == "set":
        return Set(output, level)
    what, *numbers = row["text"].split()
    if what == "train":
        frequency, width_s, count = numbers
        return Train(output, float(frequency), float(width_s), int(count), level)
    return Pulse(output, float(numbers[0]), level)
