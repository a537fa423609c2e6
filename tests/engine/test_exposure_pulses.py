"""Numbered pulses in a run: a board triggers cameras, each frame has its pulse."""

import csv
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from deeplabstream.core.command import CameraName
from deeplabstream.core.journal_entries import Note, Pulsed
from deeplabstream.engine.processes import recorder_process
from deeplabstream.engine.session import messages
from deeplabstream.engine.session.session import RigSession
from deeplabstream.engine.session.session_state import Action, Phase
from deeplabstream.recording.exposure_pulses import pulse_sentences
from deeplabstream.settings.loading import parse
from outputs.board.pulses import BoardPulses, BoardTrigger
from tests.engine.pulsed_camera import PulsedCamera
from tests.engine.stream import Rig, recording, step
from tests.engine.test_session import SETTINGS, SIMULATED, Watched
from tests.firmware.emulation import needs_simavr
from tests.firmware.powered import Powered, powered

PERIOD_NS, START = 10_000_000, 1_000_000_000
LATE_NS = np.random.default_rng(5).integers(0, 1_000_000, 2000).tolist()


def table(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture
def board() -> Iterator[Powered]:
    with powered() as board:
        yield board


@needs_simavr
@pytest.mark.usefixtures("fork_server")
def test_a_board_triggers_two_cameras_from_the_first_pulse_on(
    tmp_path: Path, board: Powered
) -> None:
    """All times are those of a busy computer: what is not certain may be refused."""
    board.wire("B0", "D2")  # the exposure output of the camera
    board.watch("B0", tmp_path / "pin")
    board.until(lambda: board.port)
    text = SETTINGS.replace("rectangle 0 0 160 120", "rectangle 0 0 80 60")
    pin = tmp_path / "pin"
    cameras = {
        "top": PulsedCamera(file=pin, trigger="line", loses=(150,)),
        "side": PulsedCamera(file=pin, trigger="line", analyse=False),
    }
    inputs = {
        "trigger": BoardTrigger(port=board.port, pin=8, rate=50, dither=10),
        "exposures": BoardPulses(port=board.port, pin=2, cameras=(CameraName("top"),)),
    }
    settings = parse(text + SIMULATED, tmp_path)
    with RigSession(replace(settings, cameras=cameras, inputs=inputs)) as session:
        it = Watched(session)
        it.do(Action.START_STREAM)
        it.until(lambda it: it.session.state.phase is Phase.STREAMING)
        it.do(Action.START_ANALYSIS, Action.START_RECORDING)
        it.until(lambda it: it.session.state.counts["side"].delivered > 400)
        it.stop()
        assert it.failures == []
        folder = it.session.state.run_folder
    assert folder is not None
    board.now()
    assert board.level("B0") == 0
    for name in ("trigger", "exposures"):
        own = [
            int(r["pulse"]) for r in table(folder / "pulses.csv") if r["input"] == name
        ]
        assert own == [*range(own[0], own[0] + len(own))] and len(own) > 200
    facts = json.loads((folder / "run.json").read_text("utf-8"))["pulses"]
    assert [(each["input"], each["camera"]) for each in facts["cameras"]] == [
        ("trigger", "top"),
        ("trigger", "side"),
        ("exposures", "top"),
    ]
    exposures = {
        row["frame"]: row["device_id"] for row in table(folder / "side.frames.csv")
    }
    for row in table(folder / "side.pulses.csv"):
        if row["state"] == "matched" and row["frame"] in exposures:
            assert row["pulse"] == exposures[row["frame"]]


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    with recording(tmp_path, "top", "side") as rig:
        yield rig


def begin(rig: Rig, **settings: object) -> None:
    """Open a run of two cameras with a generator, and analyse both."""
    words = {"cameras": ["top", "side"], "generates": True, "most_delay_ms": 100.0}
    facts = {"pulse_inputs": {"trigger": words | settings}}
    rig.tell(messages.OpenRun(rig.root, "[Streaming]\n", facts))
    rig.tell(
        messages.StartAnalysis(("top", "side"), {"top": ("corner",), "side": ()}, 0, {})
    )


def pulse(rig: Rig, number: int, name: str = "trigger") -> int:
    """Write a pulse into the journal; return its time."""
    at_ns = START + number * PERIOD_NS + LATE_NS[number]
    device_us = at_ns // 1000 + 77_000_000
    rig.engine.write(Pulsed(name, number, at_ns, at_ns + 500_000, device_us))
    return at_ns


def publish(rig: Rig, camera: str, index: int, at_ns: int) -> None:
    """Deliver a frame, and analyse it."""
    writer = rig.writers[camera]
    writer.slot()[:] = 0
    writer.publish(index, at_ns, at_ns + 1000)
    analysed = step(index, camera)
    rig.engine.write(replace(analysed, exposed_ns=at_ns, arrived_ns=at_ns + 1000))


def test_lost_frames_are_numbered_and_the_skew_is_in_the_run(rig: Rig) -> None:
    begin(rig)
    lost = {"top": {200, 201, 640}, "side": {300}}
    counts = {"top": 0, "side": 0}
    for number in range(1000):
        at_ns = pulse(rig, number)
        for camera, delay_ns in (("top", 14_000_000), ("side", 14_400_000)):
            if number not in lost[camera]:
                publish(rig, camera, counts[camera], at_ns + delay_ns)
                counts[camera] += 1
        if number % 20 == 0:
            rig.tell()
    rig.tell(messages.CloseRun("stopped"))
    facts = rig.folder.facts["pulses"]
    by_camera = {each["camera"]: each for each in facts["cameras"]}
    assert by_camera["top"]["lost_pulses"] == [200, 201, 640]
    assert by_camera["side"]["lost_pulses"] == [300]
    for each in by_camera.values():
        assert (each["refused"], each["no_pulse"], each["why"]) == (0, 0, [])
        assert each["how"] == ["intervals"] and each["period_ms"] == pytest.approx(
            10, abs=0.1
        )
    assert by_camera["top"]["delay_ms"]["p50"] == pytest.approx(14, abs=0.01)
    (skew,) = facts["skew"]
    assert (skew["cameras"], skew["pulses"]) == (["top", "side"], 996)
    assert skew["ms"]["max"] == skew["later_ms"] == 0.4
    said = " ".join(pulse_sentences(facts))
    assert "997 of 997 frames have a pulse of trigger; 3 pulses have no frame" in said
    assert "Lost: pulse 200, 201, 640" in said
    rows = table(rig.folder.path / "top.pulses.csv")
    assert [row["pulse"] for row in rows if row["state"] == "lost"] == [
        "200",
        "201",
        "640",
    ]
    (row,) = (row for row in rows if row["pulse"] == "202")
    assert (row["frame"], row["state"]) == ("200", "matched")
    assert float(row["delay_ms"]) == pytest.approx(14, abs=0.01)


def test_numbers_that_begin_again_make_a_new_part(rig: Rig) -> None:
    """An output was lost and all devices were opened again: the generator restarted."""
    begin(rig)
    index = 0
    for part in range(2):
        for number in range(400):
            at_ns = START + part * 6_000_000_000 + number * PERIOD_NS + LATE_NS[number]
            rig.engine.write(Pulsed("trigger", number, at_ns, at_ns, at_ns // 1000))
            for camera in ("top", "side"):
                publish(rig, camera, index, at_ns + 12_000_000)
            index += 1
            if number % 20 == 0:
                rig.tell()
    rig.tell(messages.CloseRun("stopped"))
    (top, _) = rig.folder.facts["pulses"]["cameras"]
    assert (top["frames"], top["matched"], top["lost"]) == (800, 800, 0)
    rows = table(rig.folder.path / "top.pulses.csv")
    assert [row["part"] for row in rows] == ["0"] * 400 + ["1"] * 400
    assert [int(row["pulse"]) for row in rows] == [*range(400)] * 2


def test_pulses_while_no_frame_comes_are_no_losses(rig: Rig) -> None:
    begin(rig)
    for number in range(1000):
        at_ns = pulse(rig, number)
        if not 300 <= number < 600:  # the camera was unplugged
            publish(rig, "top", number, at_ns + 12_000_000)
        if number % 20 == 0:
            rig.tell()
    rig.tell(messages.CloseRun("stopped"))
    (top,) = rig.folder.facts["pulses"]["cameras"]
    assert (top["lost"], top["silent"], top["matched"]) == (0, 300, 700)


def test_a_loss_at_a_low_rate_is_a_loss(rig: Rig) -> None:
    """A period of two seconds: four pass between the frames around it."""
    begin(rig)
    for number in range(200):
        at_ns = START + number * 2_000_000_000 + 100 * LATE_NS[number]
        rig.engine.write(Pulsed("trigger", number, at_ns, at_ns, at_ns // 1000))
        if number != 90:
            publish(rig, "top", number, at_ns + 12_000_000)
        if number % 20 == 0:
            rig.tell()
    rig.tell(messages.CloseRun("stopped"))
    (top,) = rig.folder.facts["pulses"]["cameras"]
    assert (top["lost_pulses"], top["silent"], top["matched"]) == ([90], 0, 199)


@pytest.mark.parametrize("error", [OSError(28, "No space left"), MemoryError()])
def test_a_run_whose_pulses_cannot_be_matched_is_closed(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(recorder_process, "write_matches", fail)
    begin(rig)
    for number in range(40):
        publish(rig, "top", number, pulse(rig, number) + 12_000_000)
    rig.tell(messages.CloseRun("stopped"))
    assert len(rig.of(messages.RunClosed)) == 1 and not rig.of(messages.RecorderFailed)
    (problem,) = rig.of(messages.ProblemReport)
    assert isinstance(problem, messages.ProblemReport) and not problem.grave
    assert "pulses were not matched (" in problem.text
    assert "MatchPulses.py" in problem.text
    assert (str(error) or type(error).__name__) in problem.text
    said = rig.folder.events()[-1]["text"]
    assert said.startswith(problem.text)
    of_disk = isinstance(error, OSError)
    assert ("Traceback " in said) is not of_disk, "of a fault of the program"
    facts = rig.folder.facts
    assert facts["not_saved"] == [problem.text] and facts["how"] == "stopped"


def test_a_run_is_closed_when_its_run_json_is_damaged_meanwhile(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    def damage(*_: object) -> None:
        rig.folder.path.joinpath("run.json").write_text("{", "utf-8")
        raise KeyError("cameras")

    monkeypatch.setattr(recorder_process, "write_matches", damage)
    begin(rig)
    for number in range(40):
        publish(rig, "top", number, pulse(rig, number) + 12_000_000)
    rig.tell(messages.CloseRun("stopped"))
    assert len(rig.of(messages.RunClosed)) == 1 and not rig.of(messages.RecorderFailed)
    (problem,) = rig.of(messages.ProblemReport)
    assert isinstance(problem, messages.ProblemReport)
    assert "KeyError: 'cameras'" in problem.text


def test_each_step_of_matching_reports_progress(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The session waits only for as long as the recorder reports progress."""
    monkeypatch.setattr(recorder_process, "SYNC_S", 0.0)
    begin(rig)
    for number in range(40):
        publish(rig, "top", number, pulse(rig, number) + 12_000_000)
    rig.tell()
    steps: list[int] = []
    monkeypatch.setattr(
        recorder_process.StreamRecorder, "_closed", lambda _: steps.append(1)
    )
    rig.tell(messages.CloseRun("stopped"))
    without = len(steps)
    steps.clear()
    rig.recorder._match_pulses(rig.folder)
    assert without > len(steps) >= 4, "pulses, frames, part, table"


def test_pulses_before_the_run_do_not_displace_early_notes(rig: Rig) -> None:
    rig.engine.write(Note("camera", "one sentence", 5))
    for number in range(600):
        pulse(rig, number)
        if number % 50 == 0:
            rig.tell()
    begin(rig)
    rig.tell(messages.CloseRun("stopped"))
    assert "one sentence" in [row["text"] for row in rig.folder.events()]
    early = [int(r["pulse"]) for r in table(rig.folder.pulses_path)]
    assert early == [*range(600 - len(early), 600)] and len(early) > 100


def test_a_run_without_pulses_has_none(rig: Rig) -> None:
    rig.tell(messages.OpenRun(rig.root, "[Streaming]\n", {}))
    rig.tell(messages.CloseRun("stopped"))
    assert "pulses" not in rig.folder.facts and not rig.folder.pulses_path.exists()
