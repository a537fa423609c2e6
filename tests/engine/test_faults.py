"""A camera that stalls, is unplugged or comes back: seen, safe, and in the record."""

import json
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest

from cameras.video import VideoFile
from cameras.webcam import Webcam
from deeplabstream.core.journal_entries import Edge, Note, Step
from deeplabstream.engine.session import process_manager
from deeplabstream.engine.session.session import RigSession
from deeplabstream.engine.session.session_state import Action, Failed, Phase
from deeplabstream.plugins.camera import Camera
from deeplabstream.settings.loading import parse
from deeplabstream.settings.sections import PoseEstimation
from tests.engine.faulty_camera import FaultyCamera
from tests.engine.patient_guards import SESSION
from tests.engine.test_session import SETTINGS, SIMULATED, Watched, experiment
from tests.engine.tolerant import Failures
from tests.recording.written_rows import rows

pytestmark = pytest.mark.usefixtures("fork_server")


def rig_with(camera: Camera, folder: Path, patience_s: float = 0.3) -> RigSession:
    text = SETTINGS.replace("PATIENCE_S = 60", f"PATIENCE_S = {patience_s}")
    text = text.replace("rectangle 0 0 160 120", "rectangle 0 0 80 60")
    settings = parse(text + SIMULATED, folder)
    return RigSession(replace(settings, cameras={"top": camera}))


def sentences(it: Watched) -> str:
    return "\n".join(
        n.text for n in it.told if isinstance(n, Note) and n.kind == "camera"
    )


def alarms_of_camera(it: Watched) -> list[str]:
    """Return the alarms, but for frames that a busy computer skips or loses."""
    alarms = Failures()
    for alarm in it.session.state.alarms:
        alarms.take(alarm.text)
    return [text for text in alarms if "of the frames are skipped" not in text]


def test_a_camera_that_returns_with_another_size_raises_one_alarm(
    tmp_path: Path,
) -> None:
    now, smaller = tmp_path / "now", tmp_path / "smaller"
    smaller.touch()
    camera = FaultyCamera(fails_when=now, smaller_while=smaller, refuses=1)
    with rig_with(camera, tmp_path) as session:
        it = Watched(session)
        experiment(it)
        now.touch()
        it.until(lambda it: alarms_of_camera(it) != [])
        assert alarms_of_camera(it) == [
            "[Camera top] was opened again, but delivers 40×60 grey 8 bit at 100/s; the "
            "run needs 80×60 grey 8 bit at 100/s. Restore that format, or press Stop "
            "Stream. The camera is tried again every 10 s at the latest"
        ]
        it.until(lambda it: it.session.state.levels["light"] == 0)
        told = "[Camera top] cannot be opened again: there is no such device"
        assert sentences(it).count(told) == 1
        smaller.unlink()
        it.until(lambda it: "is back after" in sentences(it))
        assert len(alarms_of_camera(it)) == 1
        it.stop()
        folder = it.session.state.run_folder
    assert folder is not None
    assert "delivers 40×60" in (folder / "events.csv").read_text("utf-8")


@pytest.mark.parametrize("refuses", [0, 2])
def test_an_unplugged_camera_is_told_safe_and_taken_back(
    tmp_path: Path, refuses: int
) -> None:
    now = tmp_path / "now"
    with rig_with(FaultyCamera(fails_when=now, refuses=refuses), tmp_path) as session:
        it = Watched(session)
        experiment(it)
        now.touch()
        it.until(lambda it: "is back after" in sentences(it))
        assert "[Camera top] is lost (was unplugged)" in sentences(it)
        causes = [e.cause for e in it.told if isinstance(e, Edge)]
        assert "silence" in causes or refuses == 0  # a gap of 0.25 s is within patience
        seen = len(it.of(Step))
        it.until(lambda it: len(it.of(Step)) > seen + 20)
        filmed = it.session.state.counts["top"].recorded
        it.until(lambda it: it.session.state.counts["top"].recorded > filmed)
        assert it.failures == []
        lost = it.session.state.counts["top"].lost
        assert lost is not None
        assert lost >= 20  # 0.25 s at 100/s at the least
        it.stop()
        folder = it.session.state.run_folder
    assert folder is not None
    facts = json.loads((folder / "run.json").read_text("utf-8"))
    assert all(span["closes"] for span in facts["accounting"])
    assert facts["devices"]["top"] == {"device": "fake 7", "clock": "host"}
    assert "is back after" in (folder / "events.csv").read_text("utf-8")
    rows_of_video = list(rows(folder / "top.frames.csv"))[1:]
    openings = [int(row[4]) // 1000 for row in rows_of_video]
    assert openings[-1] == 2 + refuses  # the device counts anew, the frames go on
    assert all(int(a[1]) < int(b[1]) for a, b in pairwise(rows_of_video))


def test_a_broken_video_ends_and_is_not_replayed_from_its_start(tmp_path: Path) -> None:
    film = tmp_path / "film.mjpeg"
    images = [np.full((60, 80, 3), 90, np.uint8)] * 12
    images += [np.full((30, 40, 3), 90, np.uint8)] * 12
    film.write_bytes(b"".join(cv2.imencode(".jpg", i)[1].tobytes() for i in images))
    with rig_with(VideoFile(source=film), tmp_path) as session:
        it = Watched(session)
        it.do(Action.START_STREAM)
        it.until(lambda it: "[Camera top] has no more frames" in sentences(it))
        (alarm,) = alarms_of_camera(it)
        assert alarm.startswith("[Camera top] ends here: ")
        assert "changes its size within the video" in alarm
        assert "trying to open it again" not in sentences(it)
        it.until(lambda it: it.session.state.counts["top"].delivered == 12)
        it.stop()


def test_a_stalled_camera_is_told_and_the_light_goes_off(tmp_path: Path) -> None:
    now = tmp_path / "now"
    with rig_with(FaultyCamera(stalls_when=now), tmp_path) as session:
        it = Watched(session)
        experiment(it)
        now.touch()
        it.until(lambda it: "has given no frame for 1 s" in sentences(it))
        it.until(lambda it: it.session.state.levels["light"] == 0)
        assert "silence" in [e.cause for e in it.told if isinstance(e, Edge)]
        now.unlink()
        it.until(lambda it: "gives frames again, after" in sentences(it))
        it.stop()


def test_a_driver_that_blocks_its_whole_process_keeps_no_output_on(
    tmp_path: Path,
) -> None:
    """Engine and guards are other processes; the camera's is killed when the stream stops."""
    now = tmp_path / "now"
    with rig_with(FaultyCamera(blocks_when=now), tmp_path) as session:
        it = Watched(session)
        experiment(it)
        now.touch()
        it.until(lambda it: it.session.state.levels["light"] == 0)
        it.until(lambda it: "has given no frame for 1 s" in sentences(it))
        edges = [e.cause for e in it.told if isinstance(e, Edge) and e.level == 0]
        assert edges[-1] == "silence"
        assert "is lost" not in sentences(it)
        it.stop()
        folder = it.session.state.run_folder
    assert folder is not None
    assert ",light,0.0,silence," in (folder / "events.csv").read_text("utf-8")
    facts = json.loads((folder / "run.json").read_text("utf-8"))
    assert all(span["closes"] for span in facts["accounting"])


def test_damaged_frames_are_reported_once_not_for_each(tmp_path: Path) -> None:
    with rig_with(FaultyCamera(damaged_at=20, ends_at=60), tmp_path) as session:
        it = Watched(session)
        it.do(Action.START_STREAM)
        it.until(lambda it: "has no more frames" in sentences(it))
        told = "[Camera top] delivered damaged frames: 3 dropped so far"
        assert sentences(it).count("damaged frames") == 1
        assert told in sentences(it)
        it.stop()


def test_a_camera_clock_that_was_set_is_reported(tmp_path: Path) -> None:
    with rig_with(FaultyCamera(clock_jumps_at=20, ends_at=60), tmp_path) as session:
        it = Watched(session)
        it.do(Action.START_STREAM)
        it.until(lambda it: "has no more frames" in sentences(it))
        assert sentences(it).count("set its clock") == 1
        assert "[Camera top] set its clock by -1.500 s (jumps so far: 1)" in sentences(
            it
        )
        it.stop()


def test_a_film_that_is_over_leaves_the_rig_running(tmp_path: Path) -> None:
    with rig_with(FaultyCamera(ends_at=30), tmp_path) as session:
        it = Watched(session)
        it.do(Action.START_STREAM)
        it.until(lambda it: "has no more frames" in sentences(it))
        # the network may not have been loaded by then, which is told
        told = [failed for failed in it.of(Failed) if "ended while" not in failed.text]
        assert told == []
        assert Action.STOP_STREAM in session.state.allowed
        it.stop()


def test_silence_is_noticed_while_another_camera_keeps_the_engine_busy(
    tmp_path: Path,
) -> None:
    now = tmp_path / "now"
    with rig_with(FaultyCamera(stalls_when=now), tmp_path) as session:
        cameras = {**session.settings.cameras, "side": FaultyCamera()}
        pose = replace(session.settings.pose, model="stand-in:15")
        session.settings = replace(session.settings, cameras=cameras, pose=pose)
        it = Watched(session)
        experiment(it)
        now.touch()
        it.until(lambda it: "has given no frame for 1 s" in sentences(it))
        it.until(lambda it: it.session.state.levels["light"] == 0)
        assert "silence" in [e.cause for e in it.told if isinstance(e, Edge)]
        now.unlink()
        it.stop()


def test_a_camera_that_fails_while_the_network_loads_is_all_that_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Loading takes so long that the engine has to be killed; that is no second failure."""
    monkeypatch.setattr(process_manager, "ENGINE_S", SESSION["ENGINE_S"])
    camera = Webcam(source=str(tmp_path / "nothing.avi"), backend="ffmpeg")
    with rig_with(camera, tmp_path) as session:
        loading = PoseEstimation(model="stand-in:10000")
        session.settings = replace(session.settings, pose=loading)
        it = Watched(session)
        it.do(Action.START_STREAM)
        it.until(lambda it: bool(it.of(Failed)))
        it.until(lambda it: it.session.state.phase is Phase.IDLE)
        (told,) = [each.text for each in it.of(Failed) if isinstance(each, Failed)]
        assert told.startswith("[Camera top] camera ")
        assert "gives no frames" in told
