"""Step reader: steps of a run exactly as they were written, of all earlier schemas."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Protocol

import numpy as np

from deeplabstream.core.command import Command
from deeplabstream.core.errors import DeviceError
from deeplabstream.core.journal_entries import Step
from deeplabstream.core.pose import Pose, Skeleton
from deeplabstream.recording.cell_formats import (
    identity_of,
    parse_command,
    parse_flags,
    parse_state,
)
from deeplabstream.recording.run_schema import (
    BEHAVIOUR,
    FRAME_COLUMNS,
    INPUT,
    LIGHT,
    NETWORK,
    STATUS_COLUMNS,
    TRIGGER_STATE,
    keypoint_columns,
    members,
)
from deeplabstream.recording.table_reader import camera_table, read_events


class RunPaths(Protocol):
    """The part of a run folder that reading needs."""

    @property
    def events_path(self) -> Path: ...  # noqa: D102
    @property
    def skeleton(self) -> Skeleton: ...  # noqa: D102
    def table_path(self, camera: str) -> Path: ...  # noqa: D102


def read_steps(run: RunPaths, camera: str) -> Iterator[Step]:
    """Yield the analysed frames of a camera in order.

    Poses are bit by bit those that were written. DeviceError: the table lacks body parts of
    `run.json`.
    """
    skeleton = run.skeleton

    commands = _commands(run.events_path, camera)
    table = camera_table(run.table_path(camera), skeleton)
    keypoints = keypoint_columns(skeleton)
    if not {*keypoints} <= {*table.columns}:
        raise DeviceError(
            f"{table.path} and run.json do not agree on the body parts; "
            "a broken header is line 1"
        )

    # Beside the fixed columns: one per trigger, behaviour and input.
    others = [name for name in table.columns if name not in keypoints]
    triggers = members(others, TRIGGER_STATE)
    behaviours, inputs = members(others, BEHAVIOUR), members(others, INPUT)
    shape = skeleton.count, len(skeleton.bodyparts), 3
    names = (*(c.name for c in (*FRAME_COLUMNS, *STATUS_COLUMNS)), *others)
    names = tuple(dict.fromkeys(names))

    previous: tuple[str, ...] = ()
    for cells in table.select(*names, *keypoints):
        row = dict(zip(names, cells, strict=False))
        key = row["frame"], row["exposed_ns"], row["arrived_ns"]
        if row["analysed"] != "1" or key == previous:
            continue
        previous = key

        values = np.array(cells[len(names) :], np.float32).reshape(shape)
        flags = parse_flags(row["flags"])
        identity = identity_of(skeleton, flags)
        for name in skeleton.animals:
            flags.pop(name, None)

        exposed_ns = int(row["exposed_ns"])
        yield Step(
            camera=camera,
            index=int(row["frame"]),
            exposed_ns=exposed_ns,
            arrived_ns=int(row["arrived_ns"]),
            posed_ns=int(row["posed_ns"] or 0),
            decided_ns=int(row["decided_ns"] or 0),
            written_ns=int(row["written_ns"] or 0),
            pose=Pose(
                skeleton, values[..., :2].copy(), values[..., 2].copy(), identity
            ),
            triggers={
                name: parse_state(row[column]) for name, column in triggers.items()
            },
            commands=tuple(commands[exposed_ns]),
            status=row["status"],
            lost=row["lost"] == "1",
            too_old=row["too_old"] == "1",
            flags=flags,
            behaviours=_numbers(row, behaviours),
            inputs=_numbers(row, inputs),
            light=row.get(LIGHT.name, ""),
            network=row.get(NETWORK.name, ""),
        )


def _numbers(row: Mapping[str, str], columns: Mapping[str, str]) -> dict[str, float]:
    return {name: float(row[column] or "nan") for name, column in columns.items()}


def _commands(path: Path, camera: str) -> dict[int, list[Command]]:
    """Return the commands of each frame, by its time of exposure."""
    commands: dict[int, list[Command]] = defaultdict(list)
    for row in read_events(path):
        if row["kind"] in ("command", "mark") and row["camera"] == camera:
            commands[int(row["exposed_ns"])].append(parse_command(row))
    return commands
