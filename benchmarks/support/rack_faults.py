"""Faults of a rack of two boxes: how each is planted, and what is expected of it."""

import os
import resource
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter

import psutil

from deeplabstream.core.clock import rest
from deeplabstream.files.plugin_trust import VARIABLE
from deeplabstream.rack.box_status import BoxStatus
from tests.rack.alarms.alarm_services import Service
from tests.rack.mqtt_broker import StandInBroker, stand_in_broker
from tests.rack.test_rack_run import OFF, Board, Rack

ROOT = Path(__file__).resolve().parents[2]
CAMERA = "camera arena"
MARKS = """
import sys, time
from pathlib import Path
from deeplabstream.rack.control_link import send_command
for number in range(10**9):
    send_command(Path(sys.argv[1]), f"mark left {number}", 60)
    print(number, flush=True)
    time.sleep(0.1)
"""
"""A program that controls a rack."""


class OffWatch(threading.Thread):
    """Notes when a board is told to switch off, from its start on."""

    def __init__(self, board: Board) -> None:
        super().__init__(daemon=True)
        board.listen()
        self._board, self._ended = board, threading.Event()
        self._heard = len(board.heard)
        self.began_s = perf_counter()
        self.off_s: float | None = None
        """Seconds until the first off; None: none so far."""
        self.is_off = False
        self.start()

    def run(self) -> None:
        """Listen, each millisecond."""
        while not self._ended.wait(0.001):
            try:
                heard = self._board.listen()
            except OSError:
                return  # its line was cut
            self.is_off = heard.endswith(OFF)
            if self.off_s is None and OFF in heard[self._heard :]:
                self.off_s = perf_counter() - self.began_s

    def end(self) -> None:
        """Listen no more."""
        self._ended.set()
        self.join()


@dataclass
class Trial:
    """A rack that a fault is planted in."""

    rack: Rack
    service: Service
    second: Service
    """Where a second address of the same rack leads."""
    closing: ExitStack
    """Ends what a fault has started."""
    suspended: list[int] = field(default_factory=list)

    @property
    def status(self) -> BoxStatus:
        """The last report of the left box."""
        status = self.rack.status("left")
        if status is None:
            raise RuntimeError("the left box has not reported")
        return status

    def kill(self, *names: str) -> None:
        """Kill processes of the left box."""
        for name in names or [*self.status.processes]:
            with suppress(ProcessLookupError):
                os.kill(self.status.processes[name], signal.SIGKILL)

    def suspend(self, *names: str) -> None:
        """Suspend processes of the left box."""
        for name in names or [*self.status.processes]:
            self.suspend_process(self.status.processes[name])

    def suspend_process(self, pid: int) -> None:
        """Suspend a process until the end of the trial."""
        self.suspended.append(pid)
        os.kill(pid, signal.SIGSTOP)

    def resume(self) -> None:
        """Let all suspended processes go on."""
        for pid in self.suspended:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)

    def sender(self) -> psutil.Process:
        """Return the process that sends the alarms."""
        children = psutil.Process(self.rack.running.pid).children()
        return next(it for it in children if "SendAlarms" in " ".join(it.cmdline()))

    def fill_disk(self) -> None:
        """Let the recorder of the left box write nothing more."""
        limit = resource.RLIMIT_FSIZE, (1, resource.RLIM_INFINITY)
        resource.prlimit(self.status.processes["recorder"], *limit)

    def delete_run(self) -> None:
        """Delete the run folder of the left box."""
        shutil.rmtree(self.status.run_folder, ignore_errors=True)

    def cut_line(self) -> None:
        """Close the other end of the output's line."""
        os.close(self.rack.boards["left"].ours)

    def refuse_once(self) -> None:
        """Kill the engine while the address refuses; it accepts later."""
        self.service.refuses = True
        self.kill("engine")
        rest(5)
        self.service.refuses = False

    def hang_second(self) -> None:
        """Kill the engine while another address hangs."""
        self.second.hangs.clear()
        self.kill("engine")

    def kill_sender_too(self) -> None:
        """Kill the process that sends the alarms, then the engine."""
        self.sender().kill()
        self.kill("engine")

    def suspend_sender_too(self) -> None:
        """Suspend the process that sends the alarms, kill it, and the engine."""
        self.suspend_process(self.sender().pid)
        self.kill("engine")
        rest(5)
        self.resume()

    @property
    def rig(self) -> Path:
        """The rig folder of the left box."""
        return self.rack.file.with_name("left")

    def change_settings(self, change: Callable[[str], str]) -> None:
        """Stop the left box, change its settings, and start it again."""
        self.rack.type("stop left")
        self.rack.wait(lambda: "[Box left] ended" in self.rack.told.read_text())
        file = self.rig / "settings.ini"
        text = change(file.read_text("utf-8"))
        if text:
            file.write_text(text, "utf-8")
        else:
            file.unlink()
        self.rack.type("start left")

    def damage_network(self) -> None:
        """Give the left box a network whose files are damaged."""
        folder = self.rig / "models" / "damaged"
        folder.mkdir(parents=True)
        for name in ("network.onnx", "description.json"):
            (folder / name).write_bytes(b"\x00\xffdamaged")
        self.change_settings(lambda text: text.replace("stand-in:0", "damaged"))

    def slow_down(self) -> None:
        """Let the engine of the left box run for a third of the time, as on a busy GPU."""
        pid, ended = self.status.processes["engine"], threading.Event()

        def work() -> None:
            with suppress(ProcessLookupError):
                while not ended.is_set():
                    os.kill(pid, signal.SIGSTOP)
                    rest(0.4)
                    os.kill(pid, signal.SIGCONT)
                    rest(0.2)

        thread = threading.Thread(target=work, daemon=True)
        thread.start()
        self.closing.callback(thread.join)
        self.closing.callback(ended.set)

    def kill_page(self) -> None:
        """Kill the process of the page."""
        children = psutil.Process(self.rack.running.pid).children()
        next(it for it in children if "ServePage" in " ".join(it.cmdline())).kill()

    def kill_window(self) -> None:
        """Close what a killed window has written to."""
        self.rack.end_input()

    def kill_controller(self) -> None:
        """Kill a program in the middle of its commands."""
        words = [sys.executable, "-c", MARKS, str(self.rack.file)]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        with subprocess.Popen(
            words, stdout=subprocess.PIPE, env=environment
        ) as controller:
            if controller.stdout is not None:
                controller.stdout.readline()
            controller.kill()

    def end_broker(self) -> None:
        """Publish the states, and end the broker."""
        opened = ExitStack()
        broker: StandInBroker = opened.enter_context(stand_in_broker())
        program = ROOT / "utils/PublishRack.py"
        words = [sys.executable, str(program), str(self.rack.file)]
        publisher = subprocess.Popen([*words, "--port", str(broker.port)])
        self.closing.callback(publisher.wait)
        self.closing.callback(publisher.kill)
        self.rack.wait(lambda: bool(broker.retained))
        opened.close()

    def step_clock(self) -> None:
        """Set the clock of all programs of the rack back by a day."""
        self.rack.file.with_name("clock").joinpath("step.txt").write_text("-86400")


def stage(folder: Path) -> None:
    """Give the left box of a rack a camera that can fail, and all programs a clock to be set."""
    rig, clock = folder / "left", folder / "clock"
    for place in (rig / "cameras", clock):
        place.mkdir()
    here = Path(__file__).parent
    shutil.copy(here / "staged_camera.py", rig / "cameras" / "staged.py")
    shutil.copy(here / "stepped_clock.py", clock / "sitecustomize.py")
    file = rig / "settings.ini"
    text = file.read_text("utf-8").replace("SimulatedCamera", "StagedCamera")
    file.write_text(text, "utf-8")
    trusted = filter(None, [os.environ.get(VARIABLE, ""), str(rig)])
    os.environ[VARIABLE] = os.pathsep.join(trusted)


Plant = Callable[[Trial], object]


@dataclass(frozen=True)
class Fault:
    """A fault, and what is expected."""

    plant: Plant
    output: str = "off"
    """What becomes of the left box's output: off, on, or either."""
    other: str = "goes on"
    """What becomes of the right box."""
    alarmed: bool = True
    """Whether it is an alarm; False: it changes nothing on a rig."""
    words: tuple[str, ...] = ()
    """Words of RunRack."""


def _kill(*names: str) -> Plant:
    return lambda trial: trial.kill(*names)


def _suspend(*names: str) -> Plant:
    return lambda trial: trial.suspend(*names)


def _camera(fault: str) -> Plant:
    return lambda trial: (trial.rig / "camera.txt").write_text(fault, "utf-8")


def _changed(old: str, new: str) -> Plant:
    return lambda trial: trial.change_settings(lambda text: text.replace(old, new))


def _port_gone(trial: Trial) -> None:
    port = trial.rack.boards["left"].port
    trial.change_settings(lambda text: text.replace(port, f"{port}99"))


PAGE = "--page", "0"
FAULTS: dict[str, Fault] = {
    "kill session": Fault(_kill("session")),
    "kill engine": Fault(_kill("engine")),
    "kill recorder": Fault(_kill("recorder")),
    "kill camera": Fault(_kill(CAMERA)),
    "kill guard": Fault(_kill("guard")),
    "kill engine and guard": Fault(_kill("engine", "guard")),
    "kill all processes of a box": Fault(_kill()),
    "suspend session": Fault(_suspend("session")),
    "suspend engine": Fault(_suspend("engine")),
    "suspend recorder": Fault(_suspend("recorder"), output="either"),
    "suspend camera": Fault(_suspend(CAMERA), output="either"),
    "suspend all processes of a box": Fault(_suspend()),
    "camera unplugged": Fault(_camera("unplugged"), output="either"),
    "camera silent": Fault(_camera("silent"), output="either"),
    "camera frozen": Fault(_camera("frozen"), output="on"),
    "camera black": Fault(_camera("black"), output="on"),
    "slow engine": Fault(Trial.slow_down, output="either"),
    "full disk": Fault(Trial.fill_disk),
    "run folder deleted": Fault(Trial.delete_run, output="either"),
    "line of the output cut": Fault(Trial.cut_line, output="either"),
    "port of the output missing": Fault(_port_gone),
    "settings broken": Fault(lambda it: it.change_settings(lambda text: "broken")),
    "settings deleted": Fault(lambda it: it.change_settings(lambda text: "")),
    "network missing": Fault(_changed("stand-in:0", "no such network")),
    "network damaged": Fault(Trial.damage_network),
    "rack killed": Fault(lambda it: it.rack.running.kill(), other="ended"),
    "rack suspended": Fault(
        lambda it: it.suspend_process(it.rack.running.pid), output="on"
    ),
    "window killed": Fault(Trial.kill_window, other="ended", words=("--by-window",)),
    "page killed": Fault(Trial.kill_page, output="on", words=PAGE),
    "controller killed": Fault(Trial.kill_controller, output="on", alarmed=False),
    "broker down": Fault(Trial.end_broker, output="on", alarmed=False),
    "clock set back by a day": Fault(Trial.step_clock, output="on", alarmed=False),
    "address refuses at first": Fault(Trial.refuse_once),
    "another address hangs": Fault(Trial.hang_second),
    "sender killed": Fault(Trial.kill_sender_too),
    "sender suspended": Fault(Trial.suspend_sender_too),
}
"""What is planted, by name; the last four also kill the engine."""
