import itertools
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.frame import ImageFormat
from core.pose import Pose, Skeleton
from core.record import Step
from core.ring import RingWriter, create_ring
from recording.frame_rows import FrameRows
from recording.reading import rows
from recording.run_folder import RunFacts, RunFolder
from recording.run_writer import RunWriter

FORM = ImageFormat((2, 2), 30.0)
SKELETON = Skeleton(("nose",))
STARTED = datetime(2026, 11, 21, tzinfo=UTC)
POSE = Pose(SKELETON, np.zeros((1, 1, 2), np.float32), np.ones((1, 1), np.float32))
unique = itertools.count()


@settings(
    deadline=None,
    max_examples=60,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    fates=st.lists(st.sampled_from(["analysed", "skipped", "lost"]), max_size=30),
    patience=st.integers(1, 6),
    since=st.booleans(),
    until=st.booleans(),
)
def test_rows_are_the_frames_that_came_whatever_their_fate(
    tmp_path: Path, fates: list[str], patience: int, since: bool, until: bool
) -> None:
    """Steps come `patience` frames late; a span is cut at its steps or by its times."""
    root = tmp_path / str(next(unique))
    folder = RunFolder.create(root, STARTED, "", RunFacts(0, {}, SKELETON))
    ring = create_ring("top", FORM, 16)
    with RunWriter(folder, 0) as run:
        writer, camera = RingWriter(ring), FrameRows(ring, knows_losses=True)
        camera.start(run, SKELETON, (), 0 if since else None)
        for index, fate in enumerate([*fates, *["end"] * patience]):
            if fate in ("analysed", "skipped"):
                writer.slot()
                writer.publish(index, index + 1, index + 1)
            camera.look()
            if index >= patience and fates[index - patience] == "analysed":
                at = index - patience + 1
                camera.step(Step("top", at - 1, at, at, at, at, 0, POSE, {}, ()))
        accounts = camera.end(10_000 if until else None)
    ring.close()
    ring.unlink()

    came = [n for n, fate in enumerate(fates) if fate != "lost"]
    posed = [n for n, fate in enumerate(fates) if fate == "analysed"]
    first = came[:1] if since else posed[:1]
    last = came[-1:] if until else posed[-1:]
    expected = []
    if first and last and (posed or (since and until)):
        expected = [n for n in came if first[0] <= n <= last[0]]
    path = folder.table_path("top")
    listed = list(rows(path))[1:] if path.exists() else []
    assert [int(row[0]) for row in listed] == expected
    assert [int(row[0]) for row in listed if row[7] == "1"] == posed
    assert accounts.closes()
    assert accounts.delivered == len(expected)
    if expected:
        assert accounts.exposed == expected[-1] - expected[0] + 1
