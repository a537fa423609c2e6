"""Reads steps and commands of a run back, exactly as they were written, older ones too."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np

from deeplabstream.core.command import Command, Mark, OutputName, Pulse, Set, Train
from deeplabstream.core.errors import DeviceError
from deeplabstream.core.journal_entries import Step
from deeplabstream.core.pose import Pose, Skeleton
from deeplabstream.recording.csv_tables import FRAME_COLUMNS
from deeplabstream.recording.table_reader import camera_table, read_events

_ANSWERS = {"1": True, "0": False, "": None}


class Run(Protocol):
    """The part of a run folder that reading needs."""

    @property
    def events_path(self) -> Path: ...  # noqa: D102
    @property
    def skeleton(self) -> Skeleton: ...  # noqa: D102
    def table_path(self, camera: str) -> Path: ...  # noqa: D102


def read_steps(run: Run, camera: str) -> Iterator[Step]:
    """Yield the analysed frames of a camera in order."""
    skeleton = run.skeleton
    commands = _commands(run.events_path, camera)
    table = camera_table(run.table_path(camera), skeleton)
    header = table.columns
    place = {name: column for column, name in enumerate(header)}
    asked = _named(header, "trigger_")
    classes = _named(header, "behaviour_")
    inputs = _named(header, "input_")
    first, parts = len(FRAME_COLUMNS), len(skeleton.bodyparts)
    status = place.get("status", len(header))
    values = slice(first, min([*(n for n in asked.values() if n > first), status]))
    if (values.stop - first) % (3 * parts):
        raise DeviceError(
            f"{table.path} and run.json do not agree on the body parts; "
            "a broken header is line 1"
        )
    repeated = ("", "", "")
    for row in table:
        if row[7] != "1" or (row[0], row[2], row[3]) == repeated:
            continue
        repeated = row[0], row[2], row[3]
        numbers = np.array(row[values], np.float32).reshape(-1, parts, 3)
        exposed, arrived, posed, decided, written = (
            int(cell or 0) for cell in row[2:7]
        )
        doubts = _doubts(_cell(row, place, "doubts"))
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
            {name: _ANSWERS.get(row[column]) for name, column in asked.items()},
            tuple(commands[exposed]),
            status=_cell(row, place, "status"),
            lost=_cell(row, place, "lost") == "1",
            too_old=_cell(row, place, "too_old") == "1",
            doubts=doubts,
            behaviours=_numbers(row, classes),
            inputs=_numbers(row, inputs),
        )


def _cell(row: Sequence[str], place: Mapping[str, int], name: str) -> str:
    """Return a cell; empty where the table has no such column."""
    return row[place[name]] if name in place else ""


def identity_states(skeleton: Skeleton, words: object) -> tuple[str, ...]:
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
