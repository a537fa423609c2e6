"""Racks of real processes: what is killed ends alone, and its outputs go off."""

import contextlib
import os
import select
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter

import pytest

from deeplabstream.core.clock import rest
from deeplabstream.rack.box_status import BoxStatus, read_status, status_file
from deeplabstream.rack.control_link import control_file, send_command
from deeplabstream.recording.run_repair import repair
from deeplabstream.recording.table_reader import read_events
from tests.engine.tolerant import GIVE_UP_S, TOLERANT
from tests.recording.test_automatic_retention import recorded_run

pytestmark = pytest.mark.skipif(
    sys.platform == "win32", reason="Windows has no pseudo-terminals"
)

ROOT = Path(__file__).resolve().parents[2]
ON, OFF = b"H", b"L"
RIG = f"""
[Pose Estimation]
MODEL = stand-in:0
[Experiment]
EXP_NAME = light
{TOLERANT}
[Recording]
CODEC = h264
[Camera arena]
KIND = SimulatedCamera
WIDTH = 160
HEIGHT = 120
RATE = 20
SHELTER = no
[Trigger anywhere]
KIND = InsideRegion
BODYPARTS = snout
REGION = rectangle 0 0 160 120
[Output laser]
KIND = SerialLine
PORT = {{port}}
MAX_ON_S = 600
[Experiment light]
KIND = Conditional
TRIGGER = anywhere
OUTPUT = laser
MAX_ON_S = 600
"""


def lasting(rig: str) -> str:
    """Return the settings of a rig whose output stays on for most of a day."""
    longer = rig.replace("MAX_ON_S = 600\n", "MAX_ON_S = 80000\n")
    return f"{longer}MAX_TOTAL_S = 80000\n"


@dataclass
class Board:
    """The other side of a box's output."""

    ours: int
    port: str
    heard: bytes = b""

    def listen(self) -> bytes:
        """Return all that was heard so far."""
        while select.select([self.ours], [], [], 0)[0]:
            self.heard += os.read(self.ours, 100)
        return self.heard


@dataclass
class Rack:
    """A rack of the boxes `left` and `right`, as a user starts it."""

    file: Path
    boards: dict[str, Board]
    process: "subprocess.Popen[str] | None" = None
    told: Path = field(init=False)

    def start(self, *words: str, clock: Path | None = None) -> None:
        """Start it; `clock`: a folder of modules that Python imports at its start."""
        environment = None
        if clock is not None:
            environment = {**os.environ, "PYTHONPATH": str(clock)}
        self.told = self.file.with_name("told.txt")
        program = ROOT / "utils/RunRack.py"
        with self.told.open("w") as told:
            self.process = subprocess.Popen(
                [sys.executable, str(program), str(self.file), "--headless", *words],
                stdin=subprocess.PIPE,
                stdout=told,
                stderr=subprocess.STDOUT,
                text=True,
                start_new_session=True,
                cwd=self.file.parent,
                env=environment,
            )

    def type(self, line: str) -> None:
        """Type a command, as its user does."""
        typed = self.running.stdin
        assert typed is not None
        typed.write(f"{line}\n")
        typed.flush()

    def end_input(self) -> None:
        """Close what is typed into, as the end of a window does."""
        if self.running.stdin is not None:
            self.running.stdin.close()

    @property
    def running(self) -> "subprocess.Popen[str]":
        assert self.process is not None
        return self.process

    def status(self, box: str) -> BoxStatus | None:
        return read_status(status_file(self.file, box))

    def text(self) -> str:
        files = [self.told, *self.file.with_suffix(".boxes").rglob("*.txt")]
        return "\n".join(file.read_text("utf-8", "replace") for file in files)

    def wait(self, reached: Callable[[], bool]) -> None:
        give_up = perf_counter() + GIVE_UP_S
        while not reached():
            assert perf_counter() < give_up, self.text()
            rest(0.02)

    def wait_for_run(self, box: str, before: str = "") -> BoxStatus:
        """Wait for a report of a box that names its run folder, another one than before.

        The output may be on before it.
        """
        reports: list[BoxStatus] = []

        def reported() -> bool:
            now = self.status(box)
            if now is None or now.run_folder in ("", before):
                return False
            reports.append(now)
            return True

        self.wait(reported)
        return reports[-1]

    def wait_until_on(self, *boxes: str) -> None:
        """Wait until the outputs are on; the rack and its boxes must go on."""

        def all_on() -> bool:
            assert self.running.poll() is None, self.text()
            return all(
                self.boards[box].listen().endswith(ON) and self.status(box)
                for box in boxes
            )

        self.wait(all_on)

    def wait_until_off(self, *boxes: str) -> None:
        self.wait(lambda: all(self.boards[box].listen().endswith(OFF) for box in boxes))

    def wait_for_reports(self, box: str, count: int) -> None:
        before = self.number(box)
        self.wait(lambda: self.number(box) >= before + count)

    def number(self, box: str) -> int:
        status = self.status(box)
        return status.number if status else 0

    def ended(self, box: str) -> bool:
        """Whether none of the processes that a box reported exists any more."""
        status = self.status(box)
        return status is None or not any(map(exists, status.processes.values()))


def exists(pid: int) -> bool:
    """Whether a process runs; one that waits to be read by its parent has ended."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2]
    except OSError:
        return False
    return state.split()[0] != "Z"


@contextlib.contextmanager
def two_boxes(folder: Path) -> Iterator[Rack]:
    """Make a rack of two boxes in a folder; end it with the block if it was started."""
    import tty

    boards: dict[str, Board] = {}
    opened: list[int] = []
    boxes = ""
    for name in ("left", "right"):
        ours, theirs = os.openpty()
        tty.setraw(theirs)
        opened += [ours, theirs]
        boards[name] = Board(ours, os.ttyname(theirs))
        rig = folder / name
        rig.mkdir()
        text = RIG.format(port=boards[name].port)
        (rig / "settings.ini").write_text(text, "utf-8")
        boxes += f"[Box {name}]\nRIG = {name}\n"
    file = folder / "rack.ini"
    file.write_text(boxes, "utf-8")
    rack = Rack(file, boards)
    yield rack
    if rack.process is not None:
        if rack.process.poll() is None:
            rack.process.send_signal(signal.SIGTERM)
            rack.process.wait(GIVE_UP_S)
        assert rack.process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # what was typed was not read
            rack.process.stdin.close()
    for descriptor in opened:
        with contextlib.suppress(OSError):
            os.close(descriptor)


@pytest.fixture
def rack(tmp_path: Path) -> Iterator[Rack]:
    with two_boxes(tmp_path) as made:
        yield made


def goes_on(rack: Rack, box: str) -> None:
    """Check that a box still runs its experiment, with its output on."""
    rack.wait_for_reports(box, 2)
    status = rack.status(box)
    assert status is not None and "experiment running" in status.state
    assert rack.boards[box].listen().endswith(ON)


@pytest.mark.skipif(sys.platform != "linux", reason="Linux limits other processes")
@pytest.mark.parametrize("largest", [1, 100_000], ids=["no byte", "no video"])
def test_a_full_disk_ends_its_box_alone(rack: Rack, largest: int) -> None:
    import resource

    rack.start()
    rack.wait_until_on("left", "right")
    status = rack.status("left")
    assert status is not None
    limit = resource.RLIMIT_FSIZE, (largest, resource.RLIM_INFINITY)
    resource.prlimit(status.processes["recorder"], *limit)
    rack.wait_until_off("left")
    rack.wait(lambda: rack.ended("left"))
    end = "[Box left] failed, exit code 1"
    rack.wait(lambda: end in rack.told.read_text("utf-8"))
    goes_on(rack, "right")

    # it is an alarm, and the record says it where there is room for that
    status = rack.status("left")
    assert status is not None
    urgent = [alarm.text for alarm in status.alarms if alarm.urgent]
    assert any(it.startswith("Recording has ended") for it in urgent), urgent
    if largest == 1:
        left = "events.csv: when [Output laser] was switched off is not recorded"
        assert any(it.startswith(left) for it in repair(Path(status.run_folder)).done)
    if largest > 1:
        events = read_events(Path(status.run_folder, "events.csv"))
        (raised,) = (it for it in events if it["text"].startswith("raised: Recording"))
        assert "the video of 'arena' failed" in raised["text"]
        off = [it for it in events if it["kind"] == "edge"][-1]
        assert (off["name"], off["level"]) == ("laser", "0.0")


def test_each_box_deletes_its_old_videos_and_goes_on(rack: Rack) -> None:
    folders = {box: rack.file.with_name(box) / "runs" for box in rack.boards}
    for folder in folders.values():
        for name, age_days in {"a": 40, "b": 30, "c": 20, "d": 0, "e": 0}.items():
            recorded_run(folder, name, age_days)
        rig = folder.with_name("settings.ini")
        more = "[Streaming]\nOUTPUT_DIRECTORY = runs\n[Retention]\nKEEP_DAYS = 14\n"
        rig.write_text(rig.read_text("utf-8") + more, "utf-8")
    rack.start()
    rack.wait_until_on("left", "right")

    def deletions(box: str) -> list[str]:
        status = rack.status(box)
        rows = read_events(Path(status.run_folder, "events.csv")) if status else []
        texts = [row["text"] for row in rows if row["name"] == "retention"]
        return [text.partition(" (")[0] for text in texts]

    for box, folder in folders.items():
        rack.wait(lambda box=box: len(deletions(box)) == 3)
        assert deletions(box) == [f"deleted {name}/top.mkv" for name in "abc"]
        left = sorted(path.parent.name for path in folder.glob("*/top.mkv"))
        assert left == ["d", "e"]
        goes_on(rack, box)
        status = rack.status(box)
        assert status is not None and status.alarms == ()


def test_a_silent_camera_switches_off_and_alarms_its_box_alone(rack: Rack) -> None:
    rig = rack.file.with_name("left") / "settings.ini"
    text = rig.read_text("utf-8")
    assert "PATIENCE_S = 60" in text
    rig.write_text(text.replace("PATIENCE_S = 60", "PATIENCE_S = 3"), "utf-8")
    rack.start()
    rack.wait_until_on("left", "right")
    status = rack.status("left")
    assert status is not None
    os.kill(status.processes["camera arena"], signal.SIGSTOP)
    rack.wait_until_off("left")

    def alarmed() -> bool:
        now = rack.status("left")
        return now is not None and "of its 20 frames/s are analysed" in now.alarm

    rack.wait(alarmed)
    goes_on(rack, "right")


@pytest.mark.parametrize("victim", ["session", "engine", "camera arena"])
def test_a_killed_box_ends_alone_with_its_output_off(rack: Rack, victim: str) -> None:
    rack.start()
    rack.wait_until_on("left", "right")
    status = rack.status("left")
    assert status is not None
    os.kill(status.processes[victim], signal.SIGKILL)
    rack.wait_until_off("left")
    rack.wait(lambda: rack.ended("left"))
    end = "killed by SIGKILL" if victim == "session" else "failed, exit code 1"
    rack.wait(lambda: f"[Box left] {end}" in rack.told.read_text("utf-8"))

    rack.wait_for_reports("right", 2)
    right = rack.status("right")
    assert right is not None
    assert "experiment running" in right.state
    assert right.rates["arena"] > 0
    assert rack.boards["right"].listen().endswith(ON)

    rack.running.send_signal(signal.SIGTERM)
    assert rack.running.wait(GIVE_UP_S) == 128 + signal.SIGTERM
    rack.wait_until_off("right")
    assert "[Box right] ended" in rack.told.read_text("utf-8")
    # the guards of the box were there
    assert "the rack has switched" not in rack.told.read_text("utf-8")


def test_the_boxes_of_a_killed_rack_stop_with_their_outputs_off(rack: Rack) -> None:
    rack.start()
    rack.wait_until_on("left", "right")
    os.killpg(rack.running.pid, signal.SIGKILL)  # as a shell kills its job
    rack.running.wait(GIVE_UP_S)
    rack.wait_until_off("left", "right")
    rack.wait(lambda: rack.ended("left") and rack.ended("right"))
    for box in ("left", "right"):
        status = rack.status(box)
        assert status is not None
        events = Path(status.run_folder, "events.csv").read_text("utf-8")
        assert "the rack has ended: everything is being stopped" in events


def test_ctrl_c_stops_the_chosen_box_alone_and_it_is_no_error(rack: Rack) -> None:
    rack.start("--only", "left")
    rack.wait_until_on("left")
    assert not status_file(rack.file, "right").exists()
    rack.running.send_signal(signal.SIGINT)
    assert rack.running.wait(GIVE_UP_S) == 0, rack.text()
    rack.wait_until_off("left")
    status = rack.status("left")
    assert status is not None
    assert (status.trials, status.lost_to_video) == (1, 0)
    assert status.latency_ms is not None
    told = rack.told.read_text("utf-8")
    assert "All boxes are being stopped: Ctrl-C (SIGINT)." in told
    assert "[Box left] ended" in told


def test_a_killed_box_is_restarted_and_its_new_run_names_the_gap(rack: Rack) -> None:
    text = rack.file.read_text("utf-8")
    keys = "RIG = left\nRESTARTS = 1\nBACKOFF_S = 1\n"
    rack.file.write_text(text.replace("RIG = left\n", keys), "utf-8")
    rack.start("--only", "left")
    rack.wait_until_on("left")
    before = rack.wait_for_run("left")
    os.kill(before.processes["session"], signal.SIGKILL)
    rack.wait_until_off("left")

    after = rack.wait_for_run("left", before.run_folder)
    rack.wait_until_on("left")
    told = rack.told.read_text("utf-8")
    assert "[Box left] will be restarted in 1 s (restart 1 of 1); its outputs" in told
    events = Path(after.run_folder, "events.csv")
    rack.wait(lambda: "restarted after a gap of " in events.read_text("utf-8"))
    because = "(restart 1 of 1) because the box was killed by SIGKILL; previous run "
    assert f"{because}folder: {before.run_folder}" in events.read_text("utf-8")

    os.kill(after.processes["session"], signal.SIGKILL)
    assert rack.running.wait(GIVE_UP_S) == 1
    rack.wait_until_off("left")
    assert "is not restarted: RESTARTS = 1 is reached" in rack.told.read_text("utf-8")


def test_typed_commands_start_and_stop_one_box(rack: Rack) -> None:
    rack.start("--only", "left")
    rack.wait_until_on("left")
    rack.type("start right")
    rack.wait_until_on("right")
    rack.type("stop left")
    rack.wait_until_off("left")
    rack.wait(lambda: "[Box left] ended" in rack.told.read_text("utf-8"))
    assert rack.boards["right"].listen().endswith(ON)
    rack.type("start up")
    rack.wait(
        lambda: "error: 'start up' is not a command" in rack.told.read_text("utf-8")
    )
    rack.type("start left")
    rack.wait_until_on("left", "right")
    rack.type("stop")
    assert rack.running.wait(GIVE_UP_S) == 0, rack.text()
    rack.wait_until_off("left", "right")


def test_a_box_that_is_restarted_by_command_continues_its_experiment(
    rack: Rack,
) -> None:
    rack.start("--only", "left")
    rack.wait_until_on("left")
    before = rack.wait_for_run("left")
    rack.type("restart left")

    after = rack.wait_for_run("left", before.run_folder)
    rack.wait_until_on("left")
    events = Path(after.run_folder, "events.csv")
    goes_on_from = f"goes on from the run {Path(before.run_folder).name} after a gap of"
    rack.wait(lambda: goes_on_from in events.read_text("utf-8"))
    assert "s (restart by a user) because the box ended" in events.read_text("utf-8")
    edges = read_events(Path(before.run_folder, "events.csv"))
    assert [it["level"] for it in edges if it["kind"] == "edge"][-1] == "0.0"


def test_a_starved_camera_is_an_alarm_of_its_box_alone(rack: Rack) -> None:
    rig = rack.file.with_name("left") / "settings.ini"
    # 90 ms for each frame, of which 20 a second arrive
    slow = rig.read_text("utf-8").replace("stand-in:0", "stand-in:90")
    rig.write_text(slow, "utf-8")
    rack.start()
    rack.wait_until_on("left", "right")
    status = rack.status("left")
    assert status is not None
    assert status.nominal_rates == {"arena": 20.0}

    def alarmed() -> bool:
        now = rack.status("left")
        return now is not None and "of its 20 frames/s are analysed" in now.alarm

    rack.wait(alarmed)
    told = rack.told.read_text("utf-8")
    assert " of 20" in told
    status, right = rack.status("left"), rack.status("right")
    assert status is not None and right is not None
    events = Path(status.run_folder, "events.csv")
    rack.wait(lambda: "of its 20 frames/s" in events.read_text("utf-8"))
    assert "experiment running" in right.state


def kill_all(status: BoxStatus) -> None:
    """Kill all processes of a box, its guards too, none of which can act any more."""
    for number in (signal.SIGSTOP, signal.SIGKILL):
        for pid in status.processes.values():
            os.kill(pid, number)


def test_the_rack_switches_off_what_a_killed_box_and_its_guards_left_on(
    rack: Rack,
) -> None:
    rack.start()
    rack.wait_until_on("left", "right")
    status = rack.status("left")
    assert status is not None and "second guard" in status.processes
    rack.wait(lambda: bool((now := rack.status("left")) and now.run_folder))
    status = rack.status("left")
    assert status is not None
    began_s = perf_counter()
    kill_all(status)
    rack.wait_until_off("left")
    took_s = perf_counter() - began_s
    said = "[Box left] the rack has switched [Output laser] off"
    rack.wait(lambda: said in rack.told.read_text("utf-8"))
    events = Path(status.run_folder, "events.csv")
    last = "ended; the rack acted for it; outputs are off"
    rack.wait(lambda: last in events.read_text("utf-8"))
    assert ",rack," in events.read_text("utf-8")
    assert took_s < GIVE_UP_S
    goes_on(rack, "right")


def test_another_program_stops_and_starts_one_box_of_a_running_rack(rack: Rack) -> None:
    rack.start("--only", "left")
    rack.wait_until_on("left")
    assert send_command(rack.file, "start right") == "ok: start right"
    rack.wait_until_on("left", "right")
    assert send_command(rack.file, "stop left") == "ok: stop left"
    rack.wait_until_off("left")
    goes_on(rack, "right")
    assert send_command(rack.file, "stop") == "ok: stop"
    assert rack.running.wait(GIVE_UP_S) == 0, rack.text()
    assert not control_file(rack.file).exists()
