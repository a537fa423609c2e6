"""Replays of a video get the tags that were read while it was recorded."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from deeplabstream.core.frame import Frame, Image, ImageFormat
from deeplabstream.core.journal_entries import Step, TagRead
from deeplabstream.core.pose import Pose, Skeleton
from deeplabstream.engine.replay.recorded_tags import RecordedTags, recorded_tags
from deeplabstream.engine.replay.rerun import rerun_decisions
from deeplabstream.engine.replay.video_replay import replay
from deeplabstream.recording.run_folder import ModelFacts, RunFacts, RunFolder
from deeplabstream.recording.run_writer import RunWriter
from deeplabstream.recording.video_writer import VideoWriter
from deeplabstream.settings.loading import parse
from deeplabstream.video.video_reader import open_video

ANNA = "999_000000000001"
RIG = f"""
[Animals]
NAMES = anna, bob
TAGS = anna {ANNA}
FIRST = tags
[Camera arena]
KIND = SimulatedCamera
ANIMALS = 2
SHELTER = no
WIDTH = 320
HEIGHT = 240
[Trigger door]
KIND = InsideRegion
ANIMAL = anna
BODYPARTS = tail
REGION = rectangle 160 0 160 240
[Input reader]
KIND = RfidReader
PORT = none
AT = door
"""
BEGAN = datetime(2026, 1, 1, tzinfo=UTC)
MICE = Skeleton(("head", "tail"), animals=("anna", "bob"))
FORM = ImageFormat((240, 320, 3), 30.0)
STARTED_NS, INTERVAL_NS, FRAMES = 7 * 10**9 + 123_456, 33_400_000, 40
"""Of the frames of the video, by the clock of the run."""


class Standing:
    """A network that finds two animals that stand; the one on the right comes second."""

    skeleton, threshold, provider, sha256 = MICE, 0.5, "drawn", ""

    def estimate(
        self, images: Sequence[Image], cameras: Sequence[str] = ()
    ) -> list[Pose]:
        points = np.array(
            [[[60, 120], [90, 120]], [[230, 120], [260, 120]]], np.float32
        )
        return [Pose(MICE, points, np.ones((2, 2), np.float32)) for _ in images]


def exposed_ns(frame: int) -> int:
    return STARTED_NS + frame * INTERVAL_NS


def new_folder(path: Path) -> RunFolder:
    facts = RunFacts(
        10**9, {"arena": FORM}, MICE, ModelFacts("drawn", "", 0.5, "drawn")
    )
    return RunFolder.create_at(path, BEGAN, RIG, facts)


def recorded(path: Path, reads: Sequence[TagRead] = ()) -> RunFolder:
    """Return a run whose readers have read tags, with a video that began later than the run."""
    folder = new_folder(path)
    with RunWriter(folder, 10**9) as writer:
        for read in reads:
            writer.entry(read)
    with VideoWriter(path / "arena.mkv", FORM) as file:
        for n in range(FRAMES):
            file.write(np.full(FORM.shape, 90, np.uint8), n + 5, exposed_ns(n), 0)
    folder.finish(BEGAN, "stopped", [])
    return folder


def replayed(
    path: Path, tags: Sequence[TagRead], starts: Sequence[int] = ()
) -> tuple[RunFolder, list[Step]]:
    """Return the run and the steps of a replay of two animals that stand."""
    folder = new_folder(path)

    def frames() -> Iterator[Frame]:
        for n in range(FRAMES):
            time_ns = 10**9 + n * INTERVAL_NS
            yield Frame("arena", n, time_ns, time_ns, np.full(FORM.shape, 90, np.uint8))

    settings = parse(RIG, path)
    with RunWriter(folder, 10**9) as writer:
        whole = replay(
            settings,
            frames(),
            Standing(),
            writer,
            False,
            tags=tags,
            analysis_starts=starts,
        )
        steps = [*whole]
    return folder, steps


def test_tags_have_their_place_between_the_frames_of_the_video(tmp_path: Path) -> None:
    after = exposed_ns(20) + 1
    times = [exposed_ns(0) - 1, exposed_ns(9), after, exposed_ns(FRAMES - 1) + 1]
    run = recorded(tmp_path / "run", [TagRead("reader", ANNA, time) for time in times])
    video = open_video(run.path / "arena.mkv")
    found = recorded_tags(video, print)
    assert found is not None
    # those before and after the video are left out
    frames = [int(np.searchsorted(video.times_ns, read.received_ns)) for read in found]
    assert frames == [9, 21]
    assert {(read.input, read.number) for read in found} == {("reader", ANNA)}


def test_a_video_that_no_run_has_recorded_has_no_tags(tmp_path: Path) -> None:
    run = recorded(tmp_path / "run")
    (run.path / "arena.mkv").rename(tmp_path / "other.mkv")
    assert recorded_tags(open_video(tmp_path / "other.mkv"), print) is None
    (tmp_path / "other.mkv").rename(run.path / "drawn.mkv")
    assert recorded_tags(open_video(run.path / "drawn.mkv"), print) is None


def test_a_reader_returns_each_tag_once_in_the_order_of_time() -> None:
    late, early = TagRead("reader", ANNA, 9), TagRead("reader", ANNA, 5)
    tags = RecordedTags([late, early])
    assert tags.take("other", 9) == []
    assert tags.take("reader", 4) == []
    assert tags.take("reader", 8) == [early]
    assert tags.take_all(9) == [late]
    assert tags.take_all(9) == []


@pytest.mark.parametrize("frame", [15, 30])
def test_a_tag_names_the_animals_in_a_replay_and_its_rerun(
    tmp_path: Path, frame: int
) -> None:
    read = TagRead("reader", ANNA, 10**9 + frame * INTERVAL_NS)
    folder, steps = replayed(tmp_path / "replay", [read])
    assert [step.triggers["door"] for step in steps] == [None] * frame + [True] * (
        FRAMES - frame
    )
    again = [*rerun_decisions(parse(RIG, tmp_path), folder)]
    assert [now.triggers for _, now in again] == [step.triggers for step in steps]
    tags = [row["text"] for row in folder.events() if row["kind"] == "tag"]
    assert tags == [ANNA]


def test_names_from_before_the_analysis_of_the_run_are_not_kept(tmp_path: Path) -> None:
    times = [10**9 + frame * INTERVAL_NS for frame in (15, 30)]
    tags = [TagRead("reader", ANNA, time) for time in times]
    _, steps = replayed(tmp_path / "replay", tags, [10**9 + 20 * INTERVAL_NS])
    states = [step.triggers["door"] for step in steps]
    assert states == [None] * 15 + [True] * 5 + [None] * 10 + [True] * (FRAMES - 30)


def test_animals_stay_unknown_in_a_replay_without_a_tag(tmp_path: Path) -> None:
    _, steps = replayed(tmp_path / "replay", [])
    assert {step.triggers["door"] for step in steps} == {None}
