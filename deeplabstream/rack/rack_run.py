"""Rack run: starts the boxes of a rack, prints their states, and stops them."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack, closing
from itertools import cycle

from deeplabstream.core.clock import Clock, SystemClock
from deeplabstream.core.errors import DeepLabStreamError, DeviceError
from deeplabstream.engine.processes.termination import Termination
from deeplabstream.files.exclusive_writing import BeingWrittenError, exclusive
from deeplabstream.rack.control_link import ControlServer
from deeplabstream.rack.rack_alarms import AlarmOutlet, RackAlarms
from deeplabstream.rack.rack_commands import (
    CommandInput,
    CommandQueue,
    RackCommand,
    parse_command,
)
from deeplabstream.rack.rack_process import note_process
from deeplabstream.rack.supervised_box import SupervisedBox
from deeplabstream.settings.rack_file import RackFile

TABLE_NS = 10_000_000_000
"""Interval of the table while no state changes."""
_TICK_S = 0.1
_COLUMNS = (
    "box", "state", "frames/s", "light", "trials", "p50/p99 ms", "lost", "disk GB", "alarm",
)  # fmt: skip


def chosen_boxes(rack: RackFile, only: Sequence[str]) -> list[str]:
    """Return the boxes to run; empty `only`: all. DeepLabStreamError: one is unknown."""
    for name in only:
        if name not in rack.boxes:
            known = ", ".join(rack.boxes)
            raise DeepLabStreamError(
                f"{rack.path.name} has no [Box {name}]; it has: {known}"
            )
    return [name for name in rack.boxes if not only or name in only]


def run_rack(
    rack: RackFile,
    names: Sequence[str],
    command: Callable[[str], Sequence[str]],
    report: Callable[[str], object],
    requests: Termination,
    commands: CommandQueue | None = None,
    alarms: AlarmOutlet | None = None,
    window: CommandInput | None = None,
    resume: bool = False,
) -> int:
    """Run boxes until none runs or will be restarted, or `requests` ends them.

    `command` returns the command that runs a box; `commands`: what users request meanwhile, see
    `COMMANDS`; `alarms`: where alarms are sent. `window`: the input from a window, which
    shows the states; while it is open, the rack waits for commands although no box runs.
    `resume`: boxes whose run is over, or which a user has stopped, are not started. A
    box that fails does not end the others. Return how often a box has failed.
    """
    clock, queue = SystemClock(), commands or CommandQueue()
    boxes = {
        name: SupervisedBox(rack.path, box, command(name), clock)
        for name, box in rack.boxes.items()
    }
    try:
        with (
            ExitStack() as stack,
            exclusive(rack.path, 0.0),
            closing(_RackRun(boxes, report, clock, alarms, window is None)) as run,
        ):
            note_process(rack.path)
            stack.enter_context(closing(ControlServer(rack.path, queue, report)))
            for name in names:
                run.start(name, resume)
            while run.active or (window and not (window.ended or requests.requested)):
                if requests.requested:
                    run.stop_all(requests.reason)
                if window and window.ended and rack.rack.if_window_lost == "stop":
                    run.lose_window()
                run.watch()
                for request in queue.take(_TICK_S):
                    request.answer(run.carry_out(request.line))
            return run.failures
    except BeingWrittenError as error:
        raise DeviceError(f"{rack.path} already runs as a rack") from error


class _RackRun:
    """The boxes of a rack while it runs, and what it has reported on them."""

    def __init__(
        self,
        boxes: Mapping[str, SupervisedBox],
        report: Callable[[str], object],
        clock: Clock,
        alarms: AlarmOutlet | None,
        tables: bool,
    ) -> None:
        """`tables`: whether states are reported that no command has asked for."""
        self._tables = tables
        self._boxes, self._report, self._clock = boxes, report, clock
        self._alarms = RackAlarms(boxes.values(), alarms) if alarms else None
        self._said: dict[str, list[str]] = {}
        """What each box has reported since it was last watched."""
        self._shown: tuple[str, ...] = ()
        self._shown_ns: int | None = None
        self._stopped = False
        self._ends = False
        """Whether all boxes were stopped because the rack ends, not by a user's command."""
        self._turns = cycle(boxes.values())
        """The box whose settings are read ahead next: one at a time, as each takes a while."""

    @property
    def active(self) -> bool:
        """Whether a box runs or will be restarted."""
        return any(box.active for box in self._boxes.values())

    @property
    def failures(self) -> int:
        """How often a box could not be started or has ended with an error."""
        return sum(box.failures for box in self._boxes.values())

    def start(self, name: str, resume: bool = False) -> None:
        """Start a box; one that can't be started does not end the others."""
        box = self._boxes[name]
        self._say(name, box.resume() if resume else box.start())

    def _say(self, name: str, texts: Iterable[str]) -> None:
        """Report what a box has to say."""
        for text in texts:
            self._report(text)
            self._said.setdefault(name, []).append(text)

    def carry_out(self, line: str) -> str:
        """Carry out a command; report and return the answer: `ok: …` or `error: …`."""
        try:
            answer = f"ok: {self._carry_out(parse_command(line, self._boxes))}"
        except DeepLabStreamError as error:
            answer = f"error: {error}"
        self._report(answer)
        return answer

    def _carry_out(self, command: RackCommand) -> str:
        if command.action == "status":
            self._show()
            return "status"
        if command.action == "mark":
            self._boxes[command.box].mark(command.text)
            return f"mark {command.box} {command.text}"
        if not command.box:
            self.stop_all("the command stop", by_user=True)
            return "stop"
        box = self._boxes[command.box]
        if command.action == "start":
            # the run that ends would be counted for an animal that is chosen now
            if box.running and (command.text or not box.stopping):
                raise DeepLabStreamError(f"[Box {box.name}] runs already: {box.state}")
            if self._ends and self.active:
                raise DeepLabStreamError("the rack is being stopped")
            if command.text:
                box.choose(command.text)
            self._stopped = False
            self.start(box.name)
        elif command.action == "restart" and box.running and not self._stopped:
            box.restart()
        elif command.action == "stop" and box.active:
            box.stop()
            box.note_stop()
        else:
            raise DeepLabStreamError(f"[Box {box.name}] does not run: {box.state}")
        return f"{command.action} {box.name} {command.text}".strip()

    def stop_all(self, reason: str, by_user: bool = False) -> None:
        """Stop all boxes, once; `by_user`: by a command, not by the end of the computer."""
        if not self._stopped:
            self._stopped, self._ends = True, not by_user
            active = [box for box in self._boxes.values() if box.active]
            for box in self._boxes.values():
                box.stop()
            # after all stops, as a slow disk delays what follows
            for box in active if by_user else ():
                box.note_stop()
            self._report(f"All boxes are being stopped: {reason}.")

    def lose_window(self) -> None:
        """Stop all boxes, once, because the window has ended; that is an alarm."""
        if self._stopped:
            return
        if self._alarms is not None and self.active:
            text = "the window has ended: all boxes are being stopped"
            self._alarms.raise_alarm(text, urgent=True)
        self.stop_all("the window has ended")

    def close(self) -> None:
        """Ask all boxes to end; those that have ended stay as they are."""
        for box in self._boxes.values():
            box.stop()

    def watch(self) -> None:
        """Read all boxes; report what has changed, and the table if it is time."""
        for box in self._boxes.values():
            self._say(box.name, box.watch())
        if self._alarms is not None:
            self._alarms.watch(self._said)
        self._said.clear()
        next(self._turns).prepare()
        if not self._tables:
            return
        now_ns = self._clock.now_ns()
        due = self._shown_ns is None or now_ns - self._shown_ns >= TABLE_NS
        states = tuple(box.state for box in self._boxes.values())
        if due or states != self._shown:
            self._show()

    def _show(self) -> None:
        self._report(state_table([*self._boxes.values()]))
        self._shown = tuple(box.state for box in self._boxes.values())
        self._shown_ns = self._clock.now_ns()


def state_table(boxes: Sequence[SupervisedBox]) -> str:
    """Return the states of boxes as a table of text, one line each."""
    rows = [_COLUMNS, *(_row(box) for box in boxes)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(
            cell.ljust(width) for cell, width in zip(row, widths, strict=True)
        ).rstrip()
        for row in rows
    )


def _row(box: SupervisedBox) -> tuple[str, ...]:
    state = f"{box.animal}: {box.state}" if box.running and box.animal else box.state
    if box.status is None:
        return (box.name, state, *[""] * (len(_COLUMNS) - 2))
    # the rate of a box that has ended is that of the time before
    rates, *others = box.status.figures.values()
    alarm = " ".join(box.status.alarm.split())
    return (box.name, state, rates if box.running else "", *others, alarm)
