"""Settings of a camera that is changed while it films: through all processes, and kept."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from deeplabstream.engine.session.messages import ControlChanged
from deeplabstream.engine.session.session_state import Action, Phase
from deeplabstream.recording.run_folder import RunFolder
from deeplabstream.recording.table_reader import read_events
from tests.engine.test_session import Watched, pictures, rig

pytestmark = pytest.mark.usefixtures("fork_server")


def turned(it: Watched, camera: str, key: str, word: str) -> ControlChanged:
    """Change something, and return what the camera answers."""
    before = len(it.of(ControlChanged))
    it.session.adjust(camera, key, word)
    it.until(lambda it: len(it.of(ControlChanged)) > before)
    answer = it.of(ControlChanged)[-1]
    assert isinstance(answer, ControlChanged)
    return answer


def now(it: Watched, camera: str, key: str) -> object:
    return next(
        control.now
        for control in it.session.state.controls[camera]
        if control.key == key
    )


def streaming(it: Watched) -> bool:
    return it.session.state.phase is Phase.STREAMING


def more(it: Watched, camera: str, number: int) -> Callable[[Watched], bool]:
    seen = it.session.state.counts[camera].delivered
    return lambda it: it.session.state.counts[camera].delivered >= seen + number


def test_a_change_is_made_told_and_recorded_while_all_goes_on(tmp_path: Path) -> None:
    with rig(tmp_path) as it:
        it.session.adjust("top", "GAIN", "6")
        it.do(Action.START_STREAM)
        it.until(streaming)
        it.session.adjust("top", "GAIN", "much")
        it.session.adjust("top", "COLOUR", "red")
        assert turned(it, "top", "GAIN", "6").done
        it.do(Action.START_ANALYSIS, Action.START_RECORDING)
        it.until(lambda it: it.session.state.counts["side"].recorded > 5)
        answer = turned(it, "side", "EXPOSURE_US", "40000")
        assert answer.text == "[Camera side] EXPOSURE_US is 40000 now, as requested"
        assert it.session.state.formats["side"].rate == 25
        it.until(more(it, "side", 10))
        answer = turned(it, "side", "CROP", "0, 0, 64, 48")
        assert not answer.done
        assert answer.text == (
            "[Camera side] CROP = 0, 0, 64, 48 was refused: it would change the "
            "image size within a run; Stop Stream first"
        )
        answer = turned(it, "side", "WIDTH", "64")
        assert "SimulatedCamera cannot change WIDTH while it streams" in answer.text
        it.stop()
        folder = it.session.state.run_folder
        failed = it.failures
    assert failed == [
        "[Camera top] is not streaming",
        "[Camera top] GAIN = much: expected a number",
        "[Camera top] COLOUR: SimulatedCamera has no such setting",
    ]
    assert folder is not None
    facts = json.loads((folder / "run.json").read_text("utf-8"))
    assert all(span["closes"] for span in facts["accounting"])
    assert facts["dials"]["side"]["exposure_us"] == 40_000
    assert facts["dials"]["side"]["rate"] == 25
    events = read_events(folder / "events.csv")
    notes = [row["text"] for row in events if row["name"] == "setting"]
    assert notes[0] == "[Camera top] GAIN is 6 now, as requested", "told before the run"
    assert any("EXPOSURE_US is 40000" in note for note in notes)
    scheduling = [row["text"] for row in events if row["name"] == "scheduling"]
    of_engine = [text for text in scheduling if text.startswith("real-time priority")]
    assert len(of_engine) == 1


def test_before_a_run_another_size_is_taken_and_all_processes_follow(
    tmp_path: Path,
) -> None:
    with rig(tmp_path) as it:
        it.do(Action.START_STREAM)
        it.until(lambda it: Action.START_ANALYSIS in it.session.state.allowed)
        for word, shape in (("10, 8, 80, 60", (60, 80, 3)), ("", (120, 160, 3))):
            assert turned(it, "top", "CROP", word).done
            assert it.session.state.formats["top"].shape == shape
            it.until(lambda it: it.session.newest("top") is not None)
        answer = turned(it, "top", "CROP", "100, 0, 80, 60")
        assert "does not lie in the frame of 160×120 pixels" in answer.text
        it.until(more(it, "top", 5))
        assert turned(it, "top", "CROP", "16, 8, 100, 90").done
        moved = turned(it, "top", "CROP", "20, 10, 100, 90")
        assert moved.text == "[Camera top] CROP is 20, 10, 100, 90 now, as requested"
        frame = None
        it.do(Action.START_ANALYSIS, Action.START_RECORDING)
        it.until(lambda it: it.session.state.counts["top"].recorded > 20)
        it.until(lambda it: it.session.state.counts["top"].analysed > 20)
        frame = it.session.newest("top")
        it.stop()
        folder = it.session.state.run_folder
        assert it.failures == []
    assert frame is not None
    assert frame.image.shape == (90, 100, 3)
    assert folder is not None
    facts = RunFolder(folder).facts
    assert all(span["closes"] for span in facts["accounting"])
    assert facts["dials"]["top"]["crop"] == [20, 10, 100, 90]
    assert pictures(folder / "top.mkv") > 20
