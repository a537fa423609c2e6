"""Cameras of several makers in one rig, from Start Stream to Stop.

The emulation of Basler's SDK is chosen by an environment variable, which processes of a fork
server would not have.
"""

import csv
import json
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.process import BaseProcess
from pathlib import Path

import av
import psutil
import pytest

from deeplabstream.core.journal_entries import Note, Step
from deeplabstream.engine.session import process_manager
from deeplabstream.engine.session.session import RigSession
from deeplabstream.engine.session.session_state import Action, Failed, Phase
from deeplabstream.settings.loading import parse
from tests.cameras.emulation import emulated, feature_file, numbered
from tests.engine.patient_guards import use_patient_guards
from tests.engine.test_camera_adjustment import now, streaming, turned
from tests.engine.test_session import SETTINGS as SIMULATED_RIG
from tests.engine.test_session import SIMULATED, Watched, pictures
from tests.engine.tolerant import GIVE_UP_S, TOLERANT, hold_frames_longer

# Both Basler cameras give 10 frames a second: their 64 buffers hold those of 6 s, so that a
# computer that stalls loses none.
SETTINGS = f"""
[Streaming]
OUTPUT_DIRECTORY = runs
[Pose Estimation]
MODEL = stand-in:0
[Experiment]
{TOLERANT}[Recording]
CODEC = ffv1
[Camera drawn]
KIND = SimulatedCamera
WIDTH = 160
HEIGHT = 120
RATE = 50
[Camera top]
KIND = Basler
SERIAL = 0815-0000
CONFIG = {{config}}
REGION = 0, 0, 64, 48
EXPOSURE_US = 2000
RATE = 10
ANALYSE = no
[Camera side]
KIND = Basler
SERIAL = 0815-0001
PIXEL_FORMAT = bgr
REGION = 0, 0, 80, 64
EXPOSURE_US = 100000
RATE = 100
TRIGGER = {{trigger}}
ANALYSE = no
"""


@contextmanager
def rig(folder: Path, trigger: str = "free") -> Iterator[Watched]:
    config = feature_file(folder / "own.pfs", numbered(folder / "own", 3))
    settings = parse(SETTINGS.format(config=config, trigger=trigger), folder)
    with emulated(2), RigSession(settings) as session:
        yield Watched(session)


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Kill no process, and lose no frame, because the computer is slow."""
    use_patient_guards(monkeypatch)
    monkeypatch.setattr(process_manager, "CAMERAS_S", GIVE_UP_S)
    hold_frames_longer(monkeypatch)


def delivered(it: Watched, camera: str) -> int:
    counts = it.session.state.counts.get(camera)
    return counts.delivered if counts else 0


def test_cameras_of_two_makers_in_one_run(tmp_path: Path) -> None:
    with rig(tmp_path) as it:
        it.do(Action.START_STREAM, Action.START_ANALYSIS, Action.START_RECORDING)
        it.until(lambda it: len(it.of(Step)) > 60)
        for name in ("drawn", "top", "side"):
            it.until(lambda it, n=name: it.session.state.counts[n].recorded > 10)  # type: ignore[misc]
        it.stop()
        folder = it.session.state.run_folder
        notes = " ".join(n.text for n in it.told if isinstance(n, Note))
        assert it.of(Failed) == []
    assert folder is not None
    assert "[Camera side] RATE = 100 was requested" in notes
    facts = json.loads((folder / "run.json").read_text("utf-8"))
    assert facts["devices"]["top"] == {"device": "Emulation 0815-0000", "clock": "host"}
    assert facts["devices"]["side"]["device"] == "Emulation 0815-0001"
    assert all(span["closes"] for span in facts["accounting"])
    lost = {span["camera"]: span["lost"] for span in facts["accounting"]}
    assert (lost["top"], lost["side"]) == (0, 0)
    for camera in ("drawn", "top", "side"):
        assert pictures(folder / f"{camera}.mkv") > 10
    assert_pixels_kept(folder)


def assert_pixels_kept(folder: Path) -> None:
    """Grey is grey in the file, and each frame's pixels are those of its number."""
    with (folder / "top.frames.csv").open(encoding="utf-8") as file:
        numbers = [int(row["frame"]) for row in csv.DictReader(file)]
    with av.open(str(folder / "top.mkv")) as video:
        frames = list(video.decode(video=0))
    assert len(frames) == len(numbers) > 10
    for number, frame in zip(numbers, frames, strict=True):
        assert frame.format.name.startswith("gray")
        assert (frame.to_ndarray() == 10 * (number % 3 + 1)).all()


def test_a_follower_without_pulses_waits_and_stops_when_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed: list[str] = []
    kill = BaseProcess.kill

    def told(process: BaseProcess) -> None:
        killed.append(process.name)
        kill(process)

    monkeypatch.setattr(BaseProcess, "kill", told)
    with rig(tmp_path, trigger="line") as it:
        it.do(Action.START_STREAM)
        it.until(lambda it: it.session.state.phase is Phase.STREAMING)
        it.until(lambda it: delivered(it, "drawn") > 60)
        assert delivered(it, "side") == 0
        pid = next(p.pid for p in it.session.processes() if "side" in p.name)
        camera = psutil.Process(pid)
        it.stop()
        assert not camera.is_running()
        assert not [name for name in killed if "side" in name]
        assert it.of(Failed) == []


def test_a_basler_camera_says_what_it_took(tmp_path: Path) -> None:
    camera = "[Camera top]\nKIND = Basler\nREGION = 0, 0, 64, 48\nEXPOSURE_US = 1000\n"
    start, rest = SIMULATED_RIG.split("[Camera top]")
    text = start + camera + "RATE = 100\n[Trigger" + rest.split("[Trigger", 1)[1]
    settings = parse(text.replace("0 0 160 120", "0 0 60 40") + SIMULATED, tmp_path)
    with emulated(1), RigSession(settings) as session:
        it = Watched(session)
        it.do(Action.START_STREAM)
        it.until(streaming)
        answer = turned(it, "top", "EXPOSURE_US", "20000")
        assert answer.text == "[Camera top] EXPOSURE_US is 20000 now, as requested"
        assert now(it, "top", "rate") == pytest.approx(50)
        answer = turned(it, "top", "GAIN", "1000")
        assert "GAIN = 1000 was requested; the camera set 48" in answer.text
        assert turned(it, "top", "REGION", "16, 16, 128, 96").done
        assert it.session.state.formats["top"].shape == (96, 128)
        assert now(it, "top", "exposure_us") == 20_000, "kept when it is opened anew"
        it.until(lambda it: it.session.newest("top") is not None)
        assert not [n for n in it.told if isinstance(n, Note) and "lost" in n.text]
        assert it.failures == []
