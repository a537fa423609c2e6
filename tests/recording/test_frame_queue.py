"""Uncertain frames are queued while a run goes on, with their reasons, at most some per hour."""

import pickle
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest

from deeplabstream.core.errors import DeepLabStreamError
from deeplabstream.core.frame import Image
from deeplabstream.core.journal_entries import Step
from deeplabstream.core.pose import Pose, Skeleton, Thresholds
from deeplabstream.engine.session import messages
from deeplabstream.offline.queued_images import ordered
from deeplabstream.pose.ensemble import NetworkEnsemble
from deeplabstream.recording.frame_queue import (
    FrameQueue,
    QueuedFrame,
    QueueWriter,
    UncertaintyMeter,
    read_queue,
)
from deeplabstream.recording.run_folder import RunFolder
from deeplabstream.recording.run_opening import open_run_folder
from deeplabstream.training.data.label_book import open_book
from tests.engine import stream
from tests.recording import recorded
from utils import PickFrames

SKELETON = Skeleton(("nose", "tail"))


def offer(queue: FrameQueue, time_s: float, uncertainty: float) -> None:
    frame = round(time_s * 10)
    queued = QueuedFrame("top", frame, round(time_s * 1e9), time_s, uncertainty, "why")
    if queue.takes(queued):
        queue.add(queued)


def test_an_hour_queues_no_more_than_it_may_and_no_neighbours() -> None:
    queue = FrameQueue(3)
    for tenth in range(72_000):
        time_s = tenth / 10
        rising = 10 <= time_s < 30
        offer(queue, time_s, time_s if rising else 5.0 * (time_s in (4000, 4001, 6000)))
    times = [each.time_s for each in queue.frames if each.uncertainty]
    first, second = [t for t in times if t < 3600], [t for t in times if t > 3600]
    assert len(first) == len(second) + 1 == 3
    assert max(first) > 26, "of a time in which it rises too"
    assert all(later - one >= 2 for one, later in pairwise(times))
    nothing = FrameQueue(0)
    offer(nothing, 1, 1)
    assert not nothing.frames


def test_equally_uncertain_frames_are_spread_over_the_hour() -> None:
    queue = FrameQueue(12)
    for tenth in range(36_000):
        offer(queue, tenth / 10, 0.5)
    quarters = np.histogram([each.time_s for each in queue.frames], 4, (0, 3600))[0]
    assert quarters.sum() == 12
    assert quarters.min() >= 1, "not the first ones of the hour"


def a_step(
    frame: int,
    points: list[list[float]],
    sure: tuple[float, float] = (0.9, 0.9),
    **more: object,
) -> Step:
    pose = Pose(
        SKELETON,
        np.array([points], np.float32),
        np.array([sure], np.float32),
        spread_px=float(str(more.pop("spread_px", "nan"))),
    )
    at = frame * 33_000_000
    flags: dict[str, str] = {"nose": "jump+held"} if more.pop("rejected", 0) else {}
    assert not more
    return Step("top", frame, at, at, at, at, 0, pose, {}, (), flags=flags)


def test_each_reason_is_told() -> None:
    meter = UncertaintyMeter(0.5)
    walk = [[[1.5 * n, 9.0], [1.5 * n - 20, 9.0]] for n in range(120)]
    for frame in range(100):
        told = meter.rate(a_step(frame, walk[frame], spread_px=1 + frame % 2))
        assert told == (0.0, "")
    assert meter.rate(a_step(100, [[400.0, 9], walk[100][1]])) == (0.5, "points jump")
    assert meter.rate(a_step(150, walk[0])) == (0.0, ""), "long after: not compared"
    low = meter.rate(a_step(151, walk[1], (0.9, 0.1)))
    assert low == (pytest.approx(0.5), "tail has confidence 0.10")
    lost = meter.rate(a_step(152, walk[2], (0.1, 0.0)))
    assert lost == (pytest.approx(0.2), "the animal is not found")
    gate = meter.rate(a_step(153, walk[3], rejected=1))
    assert gate == (0.5, "[Tracking] rejected nose")
    wide = meter.rate(a_step(154, walk[4], spread_px=9))
    assert wide == (1.0, "the networks differ by 9.0 px")


def test_an_ensemble_tells_how_far_its_networks_are_apart(tmp_path: Path) -> None:
    class Shifted:
        skeleton, threshold, provider, sha256 = SKELETON, 0.5, "CPU", ""

        def __init__(self, by: float) -> None:
            self.points = np.full((1, 2, 2), by, np.float32)

        def estimate(self, images: list[Image], cameras: object = ()) -> list[Pose]:
            return [Pose(SKELETON, self.points, np.ones((1, 2), np.float32))]

    networks = [Shifted(by) for by in (0, 0, 3)]
    ensemble = NetworkEnsemble(networks, tmp_path)  # type: ignore[arg-type]
    (pose,) = ensemble.estimate([np.zeros((9, 9), np.uint8)])
    assert pose.spread_px == pytest.approx(np.hypot(3, 3) / 3)
    again = pickle.loads(pickle.dumps(pose))
    assert again.spread_px == pose.spread_px


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run without a queue, in which the network is sure but for frames 5 and 28."""
    usual = recorded.step

    def step(frame: int) -> recorded.Step:
        made = usual(frame)
        sure = np.full((1, 2), 0.95, np.float32)
        if frame == 5:
            sure[0, 1] = 0.25
        flags = {"nose": "jump", "tail": "held"} if frame == 28 else {}
        pose = replace(made.pose, confidence=sure)
        return replace(made, pose=pose, flags=flags)

    monkeypatch.setattr(recorded, "step", step)
    return recorded.record(tmp_path / "run")


WANTED = {5: "tail has confidence 0.25", 28: "[Tracking] rejected nose"}


def test_the_queue_of_a_run_is_the_same_when_computed_afterwards(run: Path) -> None:
    folder = RunFolder(run)
    computed = read_queue(folder)
    assert {each.frame: each.reason for each in computed} == WANTED
    assert [each.frame for each in read_queue(folder, 1)] == [28]
    writer = QueueWriter(folder, recorded.START_NS, 12, Thresholds(0.5))
    for step in folder.steps("top"):
        writer.step(step)
    assert writer.table is not None
    writer.table.close()
    assert read_queue(folder) == computed
    assert [each.frame for each in read_queue(folder, 1)] == [28]


def test_the_program_puts_them_first_in_the_book_with_the_reason(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    labels = tmp_path / "labels"
    assert PickFrames.main([str(run), "--into", str(labels), "--queue"]) == 0
    assert "2 of 2 uncertain frames of run are new" in capsys.readouterr().out
    book = open_book(labels, ["nose", "tail"])
    assert sorted(book.reasons.values()) == sorted(WANTED.values())
    assert book.names == list(book.reasons), "the uncertain ones first"
    before = [file.read_bytes() for file in sorted(run.iterdir())]
    assert PickFrames.main([str(run), "--into", str(labels), "--queue"]) == 0
    assert [file.read_bytes() for file in sorted(run.iterdir())] == before
    assert "0 of 2 uncertain frames of run are new" in capsys.readouterr().out


def test_the_first_images_to_label_do_not_look_alike(tmp_path: Path) -> None:
    paths, frames = {}, []
    for n, (uncertainty, shade) in enumerate(
        [(0.9, 20), (0.8, 22), (0.7, 21), (0.6, 200)]
    ):
        frame = QueuedFrame("top", n, n, float(n), uncertainty, "why")
        paths[frame] = tmp_path / f"{n}.png"
        cv2.imwrite(str(paths[frame]), np.full((8, 8, 3), shade, np.uint8))
        frames.append(frame)
    last = QueuedFrame("top", 9, 9, 9.0, 2.0, "its image can't be read")
    paths[last] = tmp_path / "none.png"
    order = [each.frame for each in ordered([last, *frames], paths)]
    assert order[1] == 3, "the second looks different from the first"
    assert sorted(order) == [0, 1, 2, 3, 9]
    assert order[-1] == 9
    assert ordered([last], paths) == [last]


def test_a_run_without_a_video_says_what_to_record(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bare = recorded.record(tmp_path / "bare", range(0))
    assert PickFrames.main([str(bare), "--into", str(tmp_path / "x"), "--queue"]) == 2
    assert "record a video to label them" in capsys.readouterr().err
    with pytest.raises(DeepLabStreamError):
        open_run_folder(tmp_path / "none", lambda told: None)


def uncertain(frame: int) -> Step:
    """A step of the stream that is more uncertain the later it is."""
    made = stream.step(frame)
    sure = np.array([[0.95, max(0.0, 0.45 - frame / 3000)]], np.float32)
    return replace(made, pose=replace(made.pose, confidence=sure))


def analyse(rig: stream.Rig, *frames: int) -> None:
    for frame in frames:
        rig.expose(frame)
        rig.engine.write(uncertain(frame))
        rig.tell()
        assert rig.recorder._run is not None
        queue = rig.recorder._run.queue
        assert queue is not None
        if queue.images is not None:  # as slow as a real camera
            queue.images._threads.submit(int).result()


BEGIN = messages.StartAnalysis(("top",), {}, 2, Thresholds(0.5))
SECOND = round(1e9 / stream.TICK_NS)


def test_images_are_saved_where_nothing_is_recorded_and_no_more_than_queued(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with stream.recording(tmp_path / "runs") as rig:
        stream.open_run(rig)
        rig.tell(BEGIN)
        analyse(rig, *(n * SECOND for n in (0, 3, 6, 9, 12)))
        rig.tell(messages.StopAnalysis(), messages.CloseRun("stopped"))
        folder = rig.folder
    frames = [each.frame for each in read_queue(folder)]
    assert len(frames) == 2
    files = {each.name for each in folder.queue_path.parent.iterdir()}
    assert files == {"frames.csv", *(f"top_{frame:06d}.jpg" for frame in frames)}
    image = cv2.imread(str(folder.queue_path.parent / f"top_{frames[0]:06d}.jpg"))
    assert image is not None
    assert abs(int(image.mean()) - frames[0] % 250) < 2

    labels = tmp_path / "labels"
    words = [str(folder.path), "--into", str(labels), "--queue"]
    assert PickFrames.main(words) == 0
    assert "2 of 2 uncertain frames" in capsys.readouterr().out
    assert len(open_book(labels, ["nose", "tail"]).names) == 2


def test_recorded_frames_are_taken_from_the_video(tmp_path: Path) -> None:
    with stream.recording(tmp_path / "runs") as rig:
        stream.open_run(rig)
        rig.tell(BEGIN, messages.StartRecording(("top",)))
        analyse(rig, 0, 3 * SECOND)
        rig.tell(
            messages.StopRecording(),
            messages.StopAnalysis(),
            messages.CloseRun("stopped"),
        )
        folder = rig.folder
    assert [each.name for each in folder.queue_path.parent.iterdir()] == ["frames.csv"]
    words = [str(folder.path), "--into", str(tmp_path / "labels"), "--queue"]
    assert PickFrames.main(words) == 0
    names = sorted(each.name for each in (tmp_path / "labels").rglob("*.png"))
    assert names == ["img00000.png", "img00001.png"]


def test_a_killed_run_keeps_the_frames_whose_images_are_whole(tmp_path: Path) -> None:
    with stream.recording(tmp_path / "runs") as rig:
        stream.open_run(rig)
        rig.tell(BEGIN)
        analyse(rig, 0, 3 * SECOND)
        folder = rig.folder
        (folder.queue_path.parent / "top_000000.jpg").unlink()
        with folder.queue_path.open("a") as table:
            table.write("top,900,9")
        RunFolder(folder.path).update(ended=None)
        again = RunFolder(folder.path)
        assert [each.frame for each in read_queue(again)] == [3 * SECOND]


def test_nothing_is_queued_with_zero_per_hour(tmp_path: Path) -> None:
    with stream.recording(tmp_path / "runs") as rig:
        stream.open_run(rig)
        rig.tell(replace(BEGIN, queue_per_hour=0))
        rig.expose(0)
        rig.engine.write(uncertain(0))
        rig.tell(messages.StopAnalysis(), messages.CloseRun("stopped"))
        assert not rig.folder.queue_path.parent.exists()
