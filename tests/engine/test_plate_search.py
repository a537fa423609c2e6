"""Arenas that follow their plate: found at the start of a stream, refused when it moved."""

import os
import signal
from math import inf
from pathlib import Path

import numpy as np
import pytest

from deeplabstream.core.clock import SystemClock
from deeplabstream.core.frame import Frame, Image, ImageFormat
from deeplabstream.core.journal_entries import Note, Step
from deeplabstream.engine.plate_search import TRIES, PlateSearch
from deeplabstream.engine.plate_watch import AWAY_FLAG, STALE_S
from deeplabstream.engine.replay.rerun import rerun_decisions
from deeplabstream.engine.session import process_manager
from deeplabstream.engine.session.earlier_run import Resumption
from deeplabstream.engine.session.session import Failed, RigSession
from deeplabstream.engine.session.session_state import Action
from deeplabstream.pose.plate_markers import find_markers
from deeplabstream.recording.run_opening import open_run_folder
from deeplabstream.recording.video_writer import VideoWriter
from deeplabstream.settings.arena_instances import centre_of
from deeplabstream.settings.ini_editing import set_value
from deeplabstream.settings.loading import Settings, load, parse
from deeplabstream.settings.plate import points_word
from tests.engine.test_session import Watched
from tests.engine.tolerant import TOLERANT, hold_frames_longer
from tests.pose.plate_images import LAID_OUT, NUMBERS, SIZE, WELLS, seen, shifted, wells

RIG = """
[Streaming]
OUTPUT_DIRECTORY = runs
[Pose Estimation]
MODEL = background
[Camera top]
KIND = VideoFile
SOURCE = plate.mkv
REPEAT = yes
[Arenas]
ROWS = 6
COLUMNS = 8
CORNERS = {corners}
SHAPE = circle 30
MARKERS = {numbers}
MARKER_CORNERS = {markers}
[Arena A2]
REGION = {single}
[Trigger right]
KIND = InsideRegion
BODYPARTS = centre
REGION = rectangle 0 -30 30 60
[Experiment]
RECORD_EXP = no
"""


EXPERIMENT = """
[Experiment it]
KIND = Triggered
TRIGGER = right
OUTPUT = light
PULSE_S = 0.1
REST_S = 0
"""
RATE = 20.0


def rig(folder: Path) -> Settings:
    """Return a rig whose arenas were laid out on the wells of `LAID_OUT`."""
    image, matrix = seen(LAID_OUT)
    places = wells(matrix).reshape(6, 8, 2)
    found = find_markers(image, "4X4_50")
    x, y = places[0, 1]
    text = RIG.format(
        corners=points_word(places[[0, 0, -1, -1], [0, -1, -1, 0]]),
        numbers=", ".join(map(str, NUMBERS)),
        markers=points_word(np.concatenate([found[it] for it in NUMBERS])),
        single=f"circle {x:.2f} {y:.2f} 28",
    )
    return parse(text + TOLERANT.replace("[Experiment]\n", ""), folder)


def search(image: Image | None) -> PlateSearch:
    made = PlateSearch(rig(Path()))
    made.find(lambda: None if image is None else frame(image))
    return made


def frame(image: Image) -> Frame:
    return Frame("top", 1, 1, 1, image)


def test_the_arenas_and_their_triggers_are_moved_to_the_wells_of_the_plate() -> None:
    image, matrix = seen(shifted(30, -25, 4))
    found = search(image)
    centres = [centre_of(region) for region in found.settings.arenas.values()]
    assert np.hypot(*(np.array(centres) - wells(matrix)).T).max() < 1.0
    trigger = found.settings.new_triggers()["right.C5"]
    x, y = centre_of(found.settings.arenas["C5"])
    assert str(trigger.region) == f"rectangle {x:g} {y - 30:g} 30 60"  # type: ignore[attr-defined]
    # the text is that of the run: a replay has the same arenas
    again = parse(found.settings.text, Path())
    assert again.arenas == found.settings.arenas
    assert found.problem(frame(image)) == ""


def test_a_plate_that_is_not_seen_or_moves_later_is_not_analysed() -> None:
    still, _ = seen(LAID_OUT)
    empty = np.full(SIZE[::-1], 90, np.uint8)
    lost = search(empty)
    assert lost.place is None and lost.settings.arenas == rig(Path()).arenas
    text = lost.problem(frame(empty))
    assert "[Arenas] MARKERS in [Camera top]: markers not seen: 7 (upper left)" in text
    assert text.endswith("then stop the stream and start it again")
    assert "was not found at the start of the stream, but is seen now" in lost.problem(
        frame(still)
    )
    found = search(still)
    # also one that is turned about its middle
    for move in ((6, 0, 0), (0, 0, 0.6)):
        moved, _ = seen(shifted(*move))
        assert "px since the start of the stream" in found.problem(frame(moved))
    assert "no frame has come" in found.problem(None)
    assert search(None).place is None


def test_a_hand_before_the_camera_at_the_start_is_waited_for() -> None:
    images = [np.full(SIZE[::-1], 90, np.uint8)] * (TRIES - 1) + [seen(LAID_OUT)[0]]
    frames = iter([frame(image) for image in images])
    found = PlateSearch(rig(Path()))
    found.find(lambda: next(frames))
    assert found.place is not None and found.place.moved_px < 0.5


def test_a_rig_without_markers_looks_for_none() -> None:
    text = "[Camera top]\nKIND = SimulatedCamera\n"
    assert not PlateSearch(parse(text, Path())).needed
    assert PlateSearch(parse(text, Path())).problem(None) == ""


def stream_of(folder: Path, *images: Image, each: int = 20) -> Watched:
    """Return a rig whose video shows the images again and again, `each` for some frames."""
    film_of(folder, *images, each=each)
    return Watched(RigSession(rig(folder)))


def film_of(folder: Path, *images: Image, each: int = 20) -> None:
    """Write the video of the rig."""
    form = ImageFormat(images[0].shape, RATE)
    with VideoWriter(folder / "plate.mkv", form) as film:
        for number in range(each * len(images)):
            time_ns = round(number / RATE * 1e9)
            film.write(images[number // each], number, time_ns, time_ns)


@pytest.mark.usefixtures("fork_server")
def test_the_run_of_a_shifted_plate_has_its_arenas_where_the_plate_lies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hold_frames_longer(monkeypatch)
    image, matrix = seen(shifted(30, -25, 4))
    rig_ = stream_of(tmp_path, image)
    rig_.do(Action.START_STREAM, Action.START_ANALYSIS)
    rig_.until(lambda it: it.session.state.analysing)
    rig_.until(lambda it: it.session.state.run_folder is not None)
    run = rig_.session.state.run_folder
    rig_.session.close()
    assert run is not None
    recorded = load(run / "settings.ini").arenas.values()
    centres = np.array([centre_of(region) for region in recorded])
    assert len(WELLS) == len(centres)
    assert np.hypot(*(centres - wells(matrix)).T).max() < 1.0
    events = (run / "events.csv").read_text("utf-8")
    assert "the plate was found by its markers: moved by" in events


@pytest.mark.usefixtures("fork_server")
def test_a_stream_without_its_plate_shows_images_but_is_not_analysed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hold_frames_longer(monkeypatch)
    rig_ = stream_of(tmp_path, np.full(SIZE[::-1], 90, np.uint8))
    rig_.do(Action.START_STREAM, Action.START_ANALYSIS)
    rig_.until(lambda it: bool(it.session.state.alarms))
    assert not rig_.session.state.analysing
    assert "markers not seen: 7 (upper left)" in rig_.session.state.alarms[0].text
    rig_.session.close()


@pytest.mark.usefixtures("fork_server")
def test_a_plate_that_is_moved_during_a_run_is_unknown_until_it_is_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hold_frames_longer(monkeypatch)
    rig_ = stream_of(
        tmp_path, seen(LAID_OUT)[0], seen(shifted(12, -9))[0], each=round(4 * RATE)
    )
    rig_.do(Action.START_STREAM)
    while not rig_.session.state.analysing:
        # it is refused while the plate lies elsewhere
        asked = len(rig_.told)
        rig_.do(Action.START_ANALYSIS)
        rig_.until(
            lambda it: (
                it.session.state.analysing
                or any(isinstance(news, Failed) for news in it.told[asked:])  # noqa: B023
            )
        )
    rig_.until(lambda it: "are known again from frame" in str(it.of(Note)))
    state = rig_.session.state
    run = state.run_folder
    rig_.stop()
    rig_.session.close()
    assert run is not None
    alarm = next(it.text for it in state.alarms if "from frame" in it.text)
    assert "the plate has moved by 1" in alarm and "All arenas are unknown" in alarm

    # the record has in which frames nothing was known
    folder, changes = open_run_folder(run, lambda sentence: None), [False]
    for recorded, again in rerun_decisions(load(run / "settings.ini"), folder):
        assert dict(again.triggers) == dict(recorded.triggers)
        is_away = AWAY_FLAG.items() <= recorded.flags.items()
        if is_away is not changes[-1]:
            changes.append(is_away)
        if is_away:
            assert not np.isfinite(recorded.pose.points).any()
            assert {*recorded.triggers.values()} == {None}
    assert changes[:3] == [False, True, False]


@pytest.mark.usefixtures("fork_server")
def test_an_experiment_goes_on_in_a_new_stream_where_the_plate_lies_now(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hold_frames_longer(monkeypatch)
    rig_ = stream_of(tmp_path, seen(LAID_OUT)[0])
    session, settings = rig_.session, rig_.session.settings
    outputs = [f"[Output light.{it}]\nKIND = SimulatedOutput" for it in settings.arenas]
    text = set_value(settings.text, "Experiment", "EXP_NAME", "it")
    session.settings = parse("\n".join([text, *outputs, EXPERIMENT]), tmp_path)

    def run_experiment() -> Path:
        rig_.do(Action.START_STREAM, Action.START_ANALYSIS, Action.START_EXPERIMENT)
        rig_.until(lambda it: it.session.state.experimenting)
        rig_.until(lambda it: it.session.state.run_folder is not None)
        run = session.state.run_folder
        rig_.stop()
        assert run is not None
        return run

    before = run_experiment()
    image, matrix = seen(shifted(30, -25, 4))
    moved = tmp_path / "moved"
    moved.mkdir()
    film_of(moved, image)
    (moved / "plate.mkv").replace(tmp_path / "plate.mkv")
    session.resumes = Resumption(before, required=False)
    after = run_experiment()
    session.close()
    events = (after / "events.csv").read_text("utf-8")
    assert f"goes on from the run {before.name} after a gap of" in events
    recorded = load(after / "settings.ini").arenas.values()
    centres = np.array([centre_of(region) for region in recorded])
    assert np.hypot(*(centres - wells(matrix)).T).max() < 1.0


@pytest.mark.usefixtures("fork_server")
def test_without_the_plate_process_the_arenas_are_unknown_and_another_one_is_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hold_frames_longer(monkeypatch)
    monkeypatch.setattr(process_manager, "PLATE_AGAIN_S", inf)
    rig_ = stream_of(tmp_path, seen(LAID_OUT)[0])

    def plate_processes() -> list[int]:
        found = rig_.session.processes()
        return [it.pid for it in found if it.name == "plate watch" and it.pid]

    def alarmed(text: str) -> bool:
        return any(text in alarm.text for alarm in rig_.session.state.alarms)

    rig_.do(Action.START_STREAM, Action.START_ANALYSIS)
    rig_.until(lambda it: bool(it.of(Step)))
    (pid,) = plate_processes()
    os.kill(pid, signal.SIGKILL)
    killed_ns = SystemClock().now_ns()
    rig_.until(lambda it: alarmed("'plate watch' ended unexpectedly (killed by"))
    rig_.until(lambda it: alarmed("the markers were not looked for in the last 10 s"))
    # the engine goes on
    assert rig_.session.state.analysing and not plate_processes()

    monkeypatch.setattr(process_manager, "PLATE_AGAIN_S", 0.0)
    rig_.until(lambda it: "are known again from frame" in str(it.of(Note)))
    assert plate_processes() not in ([], [pid])
    steps = [step for step in rig_.of(Step) if isinstance(step, Step)]
    away = [it.exposed_ns for it in steps if AWAY_FLAG.items() <= it.flags.items()]
    slack_s = 5.0  # a busy computer leaves frames out
    assert away[0] - killed_ns <= (STALE_S + slack_s) * 1e9
    rig_.stop()
    assert not rig_.session.processes()
    rig_.session.close()
