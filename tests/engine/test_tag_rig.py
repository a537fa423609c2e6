"""A rig with an RFID reader on a pseudo-terminal, decided again from its poses and its video."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from time import perf_counter

import pytest

from deeplabstream.core.frame import Frame
from deeplabstream.core.journal_entries import Note, Step
from deeplabstream.engine.network_loading import open_network
from deeplabstream.engine.replay.recorded_tags import recorded_tags
from deeplabstream.engine.replay.recorded_video import recorded_analysis_starts
from deeplabstream.engine.replay.rerun import rerun_decisions
from deeplabstream.engine.replay.video_analysis import VideoAnalysis
from deeplabstream.engine.session.session import RigSession
from deeplabstream.engine.session.session_state import Action
from deeplabstream.recording.run_folder import RunFolder
from deeplabstream.recording.run_review import review
from deeplabstream.recording.run_writer import RunWriter
from deeplabstream.settings.loading import parse
from deeplabstream.video.video_reader import open_video
from tests.engine.patient_guards import use_patient_guards
from tests.engine.test_session import Watched
from tests.engine.tolerant import TOLERANT, hold_frames_longer

if sys.platform == "win32":
    pytest.skip("Windows has no pseudo-terminals", allow_module_level=True)

import tty

ANNA, STRAY = "999_000000000001", "999_000000000009"
AGAIN_S = 0.2
"""Interval at which a reader reports an animal that stays at it."""
RIG = f"""
[Streaming]
OUTPUT_DIRECTORY = runs
[Pose Estimation]
MODEL = arena_animals
[Recording]
CODEC = ffv1
[Animals]
NAMES = anna, bob
TAGS = anna {ANNA}
FIRST = tags
[Camera top]
KIND = SimulatedCamera
ANIMALS = 2
ALIKE = no
SHELTER = no
RATE = 15
[Trigger door]
KIND = InsideRegion
BODYPARTS = snout
REGION = rectangle 0 0 320 480
[Trigger anna left]
KIND = InsideRegion
ANIMAL = anna
BODYPARTS = snout
REGION = rectangle 0 0 320 480
[Output light]
KIND = SimulatedOutput
[Experiment]
EXP_NAME = one
{TOLERANT}[Experiment one]
KIND = Conditional
TRIGGER = anna left
OUTPUT = light
[Input reader]
KIND = RfidReader
PORT = {{port}}
AT = door
"""


class Reader:
    """The reader's end of a serial cable: sends a tag at intervals."""

    def __init__(self) -> None:
        self._ours, self._theirs = os.openpty()
        tty.setraw(self._theirs)
        self.port = os.ttyname(self._theirs)
        self._sent_s = 0.0

    def send(self, tag: str) -> None:
        """Send a tag."""
        self._sent_s = perf_counter()
        os.write(self._ours, f"{tag}\r\n".encode())

    def send_again(self, tag: str) -> None:
        """Send a tag, unless one was sent just before."""
        if perf_counter() - self._sent_s > AGAIN_S:
            self.send(tag)

    def close(self) -> None:
        os.close(self._ours)
        os.close(self._theirs)


@pytest.fixture
def reader(monkeypatch: pytest.MonkeyPatch) -> Iterator[Reader]:
    use_patient_guards(monkeypatch)
    hold_frames_longer(monkeypatch)
    it = Reader()
    yield it
    it.close()


def recorded(folder: Path, reader: Reader) -> RunFolder:
    """Return a run in which anna was read at the door, and an unknown tag."""

    def named(it: Watched) -> bool:
        reader.send_again(ANNA)
        notes = [news.text for news in it.told if isinstance(news, Note)]
        return any("the animal at the reader is anna" in text for text in notes)

    with RigSession(parse(RIG.format(port=reader.port), folder)) as session:
        it = Watched(session)
        it.do(Action.START_STREAM, Action.START_RECORDING)
        it.until(lambda it: it.session.state.recording)
        it.do(Action.START_ANALYSIS, Action.START_EXPERIMENT)
        it.until(named)
        reader.send(STRAY)
        steps = len(it.of(Step))
        it.until(lambda it: len(it.of(Step)) > steps + 60)
        it.stop()
        run = it.session.state.run_folder
    assert run is not None
    return RunFolder(run)


def decided(steps: list[Step]) -> list[object]:
    """Return frames, flags of identity, states of triggers and commands."""
    return [
        (step.index, step.pose.identity, dict(step.triggers), step.commands)
        for step in steps
    ]


def test_a_run_with_a_reader_is_decided_again_from_its_poses_and_from_its_video(
    tmp_path: Path, reader: Reader
) -> None:
    folder = recorded(tmp_path, reader)
    settings = parse(folder.settings_text, tmp_path)
    tags = [row["text"] for row in folder.events() if row["kind"] == "tag"]
    assert {*tags} == {ANNA, STRAY}

    pairs = [*rerun_decisions(settings, folder)]
    then = [step for step, _ in pairs]
    assert decided(then) == decided([step for _, step in pairs])
    states = {step.triggers["anna left"] for step in then}
    assert None in states and states & {True, False}

    rows = open_video(folder.path / "top.mkv")
    reads = recorded_tags(rows, print)
    assert reads is not None
    assert [read.number for read in reads] == tags
    # the video has frames from before the analysis, in which animals have names, too
    starts = recorded_analysis_starts(rows, "top", print)
    assert len(starts) == 1 and starts[0] > 0
    estimator = open_network(settings)
    analysis = VideoAnalysis(settings, rows, estimator, False, reads, starts)
    images = (
        Frame("top", it.row, it.time_ns, it.time_ns, it.image)
        for it in rows.images()
        if it.image is not None
    )
    again = analysis.make_folder(tmp_path / "again")
    with RunWriter(again, 0) as writer:
        steps = {
            step.index: step
            for _, step in analysis.steps(images, estimator, writer, None)
        }
    recorded_rows = review(folder.path).cameras["top"].of_analysis().rows
    for step, row in zip(then, recorded_rows["video_frame"], strict=True):
        assert steps[int(row)].pose.identity == step.pose.identity
        assert steps[int(row)].triggers == step.triggers
