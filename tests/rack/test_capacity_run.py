"""Capacity measured by real processes: no device is opened, and nothing is left behind."""

import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

import psutil
import pytest

from deeplabstream.core.clock import rest
from tests.engine.tolerant import GIVE_UP_S
from tests.rack.test_rack_run import RIG, ROOT

pytestmark = pytest.mark.skipif(
    sys.platform == "win32", reason="Windows has no pseudo-terminals"
)


WELLS = """
[Pose Estimation]
MODEL = background
[Background Subtraction]
LENGTH_PX = 13
[Camera plate]
KIND = Webcam
SOURCE = 7
RESOLUTION = 192, 96
RATE = 20
[Arenas]
ROWS = 1
COLUMNS = 2
CORNERS = 48 48, 144 48
SHAPE = circle 40
[Experiment]
EXP_NAME = light
[Trigger left]
KIND = InsideRegion
BODYPARTS = centre
REGION = rectangle -40 -40 40 80
[Experiment light]
KIND = Conditional
TRIGGER = left
OUTPUT = light
[Output light.A1]
KIND = SimulatedOutput
[Output light.A2]
KIND = SimulatedOutput
"""


@dataclass
class Measured:
    """A rack of one box with a serial output, whose capacity is measured."""

    folder: Path
    board: int

    def start(self, *words: str) -> "subprocess.Popen[str]":
        program = [sys.executable, str(ROOT / "utils/RunRack.py")]
        options = ["--capacity", "--seconds", "1", *words]
        return subprocess.Popen(
            [*program, str(self.folder / "rack.ini"), *options],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=self.folder,
            env={**os.environ, "TMPDIR": str(self.temporary)},
            start_new_session=True,
        )

    @property
    def temporary(self) -> Path:
        return self.folder / "temporary"

    def left(self) -> list[psutil.Process]:
        """Return the processes of the measurement that still run."""
        found = []
        for process in psutil.process_iter():
            try:
                ours = process.environ().get("TMPDIR") == str(self.temporary)
            except psutil.Error:
                continue
            if ours and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        return found

    def check_that_nothing_is_left(self) -> None:
        assert self.left() == []
        assert [*self.temporary.glob("capacity-*")] == []
        heard = select.select([self.board], [], [], 0)[0]
        assert not heard, "the real output was opened"


@pytest.fixture
def measured(tmp_path: Path) -> Iterator[Measured]:
    import tty

    ours, theirs = os.openpty()
    tty.setraw(theirs)
    text = RIG.format(port=os.ttyname(theirs))
    (tmp_path / "settings.ini").write_text(text, "utf-8")
    (tmp_path / "rack.ini").write_text("[Box one]\nRIG = settings.ini\n", "utf-8")
    it = Measured(tmp_path, ours)
    it.temporary.mkdir()
    yield it
    for process in it.left():
        process.kill()
    for descriptor in (ours, theirs):
        os.close(descriptor)


def test_a_capacity_is_measured_without_the_real_output(measured: Measured) -> None:
    file = measured.folder / "figures.json"
    with measured.start("--most", "1", "--json", str(file)) as program:
        told, _ = program.communicate(timeout=GIVE_UP_S)
    assert "boxes  analysed" in told, told
    (tried,) = json.loads(file.read_text("utf-8"))["tried"]
    (camera,) = tried["cameras"]
    assert (camera["camera"], camera["wished_hz"]) == ("arena", 20)
    assert 0 < camera["p50_ms"] <= camera["p99_ms"]
    assert tried["memory_mb"] > 1
    measured.check_that_nothing_is_left()
    assert not (measured.folder / "output").exists(), "a run was left in the rig"


def test_arenas_of_one_camera_are_measured_up_to_all(measured: Measured) -> None:
    (measured.folder / "settings.ini").write_text(WELLS, "utf-8")
    file = measured.folder / "figures.json"
    with measured.start("--most", "1", "--json", str(file)) as program:
        told, _ = program.communicate(timeout=GIVE_UP_S)
    facts = json.loads(file.read_text("utf-8"))
    (of_box,) = facts["arenas"].values()
    assert "of its 2 arenas" in told
    assert (of_box["arenas"], [it["arenas"] for it in of_box["tried"]]) == (2, [1, 2])
    for tried in of_box["tried"]:
        (camera,) = tried["cameras"]
        assert (camera["camera"], camera["wished_hz"]) == ("plate", 20)
        assert 0 < camera["p50_ms"] <= camera["p99_ms"], told
    assert of_box["tried"][0]["p50_ratio"] == 1
    assert program.returncode == int(facts["carried"] < 1)
    measured.check_that_nothing_is_left()


def test_ctrl_c_ends_the_measurement_and_leaves_nothing(measured: Measured) -> None:
    with measured.start() as program:
        give_up = perf_counter() + GIVE_UP_S
        while not [*measured.temporary.rglob("status.json")]:
            assert perf_counter() < give_up
            assert program.poll() is None
            rest(0.02)
        program.send_signal(signal.SIGINT)
        told, _ = program.communicate(timeout=GIVE_UP_S)
    assert "Stopped: Ctrl-C" in told
    assert program.returncode
    measured.check_that_nothing_is_left()


def test_an_experiment_that_is_over_too_early_is_no_measurement(
    measured: Measured,
) -> None:
    rig = measured.folder / "settings.ini"
    text = rig.read_text("utf-8")
    short = "EXP_NAME = light\nEXP_TIME_S = 0.5"
    rig.write_text(text.replace("EXP_NAME = light", short), "utf-8")
    with measured.start("--most", "1") as program:
        told, _ = program.communicate(timeout=GIVE_UP_S)
    assert "choose one that lasts longer" in told
    assert "does not carry" in told
    assert program.returncode == 1
    measured.check_that_nothing_is_left()
