import itertools
import random
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple, cast

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from deeplabstream.core.frame import ImageFormat
from deeplabstream.core.journal_entries import Step
from deeplabstream.core.pose import Pose, Skeleton
from deeplabstream.ipc.ring import RingWriter, Stamp, create_ring
from deeplabstream.recording.frame_rows import FrameRows
from deeplabstream.recording.run_folder import RunFacts, RunFolder
from deeplabstream.recording.run_writer import RunWriter
from tests.recording.written_rows import rows

FORM = ImageFormat((2, 2), 30.0)
SKELETON = Skeleton(("nose",))
STARTED = datetime(2026, 11, 21, tzinfo=UTC)
POSE = Pose(SKELETON, np.zeros((1, 1, 2), np.float32), np.ones((1, 1), np.float32))
unique = itertools.count()


@settings(
    deadline=None,
    max_examples=25,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    fates=st.lists(st.sampled_from(["analysed", "skipped", "lost"]), max_size=30),
    patience=st.integers(1, 6),
)
def test_rows_are_the_frames_that_came_whatever_their_fate(
    tmp_path: Path, fates: list[str], patience: int
) -> None:
    """Steps come `patience` frames late; a span starts and ends with a step."""
    root = tmp_path / str(next(unique))
    folder = RunFolder.create(root, STARTED, "", RunFacts(0, {}, SKELETON))
    ring = create_ring("top", FORM, 16)
    with RunWriter(folder, 0) as run:
        writer, camera = RingWriter(ring), FrameRows(ring, knows_losses=True)
        camera.start(run, ())
        for index, fate in enumerate([*fates, *["end"] * patience]):
            if fate in ("analysed", "skipped"):
                writer.slot()
                writer.publish(index, index + 1, index + 1)
            camera.poll()
            if index >= patience and fates[index - patience] == "analysed":
                at = index - patience + 1
                camera.step(Step("top", at - 1, at, at, at, at, 0, POSE, {}, ()))
        accounts = camera.end()
    ring.close()
    ring.unlink()

    came = [n for n, fate in enumerate(fates) if fate != "lost"]
    posed = [n for n, fate in enumerate(fates) if fate == "analysed"]
    expected = [n for n in came if posed and posed[0] <= n <= posed[-1]]
    path = folder.table_path("top")
    listed = list(rows(path))[1:] if path.exists() else []
    assert [int(row[0]) for row in listed] == expected
    assert [int(row[0]) for row in listed if row[7] == "1"] == posed
    assert accounts.is_balanced()
    assert accounts.delivered == len(expected)
    if expected:
        assert accounts.exposed == expected[-1] - expected[0] + 1


class ListedFrames:
    """A run writer that only remembers which frames it was told of."""

    def __init__(self) -> None:
        self.listed: list[int] = []
        self.analysed: list[int] = []

    def begin(self, *_: object) -> None:
        """Open the table."""

    def step(self, step: Step) -> None:
        self.listed.append(step.index)
        self.analysed.append(step.index)

    def skipped(self, camera: str, stamp: Stamp) -> None:
        self.listed.append(stamp.index)


class Moment(NamedTuple):
    """Frames that come, how many of them are analysed, and whether the recorder looks."""

    frames: int
    lost: int
    analysed: int
    looks: bool


MOMENTS = st.lists(
    st.builds(
        Moment, st.integers(1, 40), st.integers(0, 2), st.integers(0, 40), st.booleans()
    ),
    min_size=1,
    max_size=12,
)


@settings(deadline=None, max_examples=60)
@given(moments=MOMENTS, seed=st.integers(0, 99))
def test_accounts_close_however_late_the_recorder_looks(
    moments: list[Moment], seed: int
) -> None:
    """As after a suspension: the ring has gone round, the steps come all the same."""
    chance = random.Random(seed)
    run, ring = ListedFrames(), create_ring("top", FORM, 8)
    index, steps, told = 0, list[int](), 0
    writer, camera = RingWriter(ring), FrameRows(ring, knows_losses=True)
    camera.start(cast("RunWriter", run), ())
    for moment in moments:
        index += moment.lost
        frames = [*range(index + 1, index + 1 + moment.frames)]
        index = frames[-1]
        for frame in frames:
            writer.slot()
            writer.publish(frame, frame, frame)
        chosen = chance.sample(frames, min(moment.analysed, moment.frames))
        steps += sorted(chosen)
        if moment.looks or moment is moments[-1]:
            camera.poll()
            for at in steps[told:]:
                camera.step(Step("top", at, at, at, at, at, 0, POSE, {}, ()))
            told = len(steps)
    accounts = camera.end()
    ring.close()
    ring.unlink()
    assert accounts.is_balanced()
    assert accounts.analysed == len(steps)
    if not steps:
        return
    assert run.analysed == steps
    assert len(run.listed) + (accounts.unlisted or 0) == accounts.delivered
    if all(moment.lost == 0 for moment in moments):
        assert accounts.delivered == steps[-1] - steps[0] + 1
        assert accounts.lost == 0
