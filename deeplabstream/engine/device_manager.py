"""Device manager: opens the outputs and inputs of a rig together, and closes them together.

If one device can't be opened, none stays open.
"""

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from math import nan
from types import MappingProxyType

from deeplabstream.core.clock import Clock
from deeplabstream.core.command import OutputName, Pulse
from deeplabstream.core.errors import DeepLabStreamError, error_context
from deeplabstream.core.journal_entries import Entry, Note, Pulsed, Sensed, TagRead
from deeplabstream.engine.checks.output_pulse import PULSE_S
from deeplabstream.engine.dose_accounts import DosePlace, open_accounts
from deeplabstream.engine.output_bank import OutputBank, opened
from deeplabstream.engine.pulse_timer import PulseTimer
from deeplabstream.plugins.input import (
    Input,
    InputBroken,
    InputChange,
    InputPulse,
    InputTag,
    InputUnreadable,
    PulseInput,
)
from deeplabstream.plugins.output import Output, SelfTestResult

_MOST_READS = 256
"""Tags of a reader that are kept until the frames of their time are analysed."""
InputEntry = Sensed | Pulsed | TagRead | Note


class Inputs:
    """Current levels and counts of the open inputs; devices report in their own threads."""

    def __init__(
        self,
        names: Mapping[str, Input],
        clock: Clock,
        write: Callable[[InputEntry], object],
    ) -> None:
        self._clock = clock
        self._write = write
        self._lock = threading.Lock()
        self._known = unknown_levels(names)
        self._reads = {name: deque[TagRead](maxlen=_MOST_READS) for name in names}
        self._unreadable = dict.fromkeys(names, 0)
        """By input: lines that were not tag numbers."""

    def now(self) -> dict[str, float]:
        """Return the present levels and counts."""
        with self._lock:
            return dict(self._known)

    def take_reads(self, name: str, until_ns: int) -> list[TagRead]:
        """Return the tags that a reader has read up to a time, each once."""
        reads, taken = self._reads[name], list[TagRead]()
        while reads and reads[0].received_ns <= until_ns:
            taken.append(reads.popleft())
        return taken

    def receive(self, name: str, news: InputChange) -> None:
        """Store and record a change of an input."""
        # hold the lock only for the change: a write to the journal may block
        if isinstance(news, InputBroken):
            with self._lock:
                self._known |= {name: nan, f"{name}.count": nan}
            text = f"[Input {name}] {news.text}: it is unknown from now on"
            kind = "alarm" if news.retries else "error"
            self._write(Note(kind, text, self._clock.now_ns()))
            return

        if isinstance(news, InputPulse):
            with self._lock:
                self._known |= {name: 1.0, f"{name}.count": float(news.number + 1)}
            when = news.began_ns, news.received_ns, news.device_us
            self._write(Pulsed(name, news.number, *when))
            return

        if isinstance(news, InputUnreadable):
            self._receive_unreadable(name, news.line)
            return

        if isinstance(news, InputTag):
            with self._lock:
                count = self._known[f"{name}.count"]
                self._known |= {name: 0.0, f"{name}.count": count + 1}
            read = TagRead(name, news.number, news.received_ns)
            # recorded first: no decision may rest on a read that the record lacks
            self._write(read)
            self._reads[name].append(read)
            return

        with self._lock:
            count = self._known[f"{name}.count"]
            # NaN, before the first report and after a failure: counts start at 0
            count = 0 if count != count else int(count)
            count += news.active and not news.first
            self._known |= {name: float(news.active), f"{name}.count": float(count)}
        times = news.began_ns, news.received_ns, news.device_us
        self._write(Sensed(name, news.active, count, *times))

    def _receive_unreadable(self, name: str, line: str) -> None:
        """Count a line that is not a tag number; report the 1st, 10th, 100th and so on."""
        self._unreadable[name] += 1
        count = self._unreadable[name]
        if str(count).strip("0") == "1":
            text = (
                f"[Input {name}] lines of the reader that are not tag numbers: {count}, the "
                f"last is {line!r}. Are BAUD and the reader's format right?"
            )
            self._write(Note("alarm", text, self._clock.now_ns()))


def unknown_levels(names: Iterable[str]) -> dict[str, float]:
    """Return NaN for levels and counts of these inputs, with the keys of `Observation.inputs`."""
    return {key: nan for name in names for key in (name, f"{name}.count")}


@contextmanager
def open_inputs(
    inputs: Mapping[str, Input],
    clock: Clock,
    write: Callable[[InputEntry], object],
) -> Iterator[Inputs]:
    """Open all inputs except generators; their changes are recorded and kept in `Inputs`."""
    known = Inputs(inputs, clock, write)
    with ExitStack() as stack:
        for name, device in inputs.items():
            if not _generates(device):
                _open_input(stack, name, device, known)
        yield known


def _generates(device: Input) -> bool:
    """Return whether an input generates pulses; it is opened after the cameras."""
    return isinstance(device, PulseInput) and device.generates


def _open_input(stack: ExitStack, name: str, device: Input, known: Inputs) -> None:
    with error_context(f"Input {name}"):
        stack.enter_context(device.opened(lambda news: known.receive(name, news)))


def run_self_tests(
    outputs: Mapping[str, Output], inputs: Mapping[str, Input]
) -> Iterator[SelfTestResult]:
    """Run the self-test of each class of outputs; all devices must be closed."""
    for kind in dict.fromkeys(type(output) for output in outputs.values()):
        yield from kind.self_test(outputs, inputs)


class DeviceManager:
    """Opens outputs and inputs, and reopens them after one was lost."""

    def __init__(
        self,
        outputs: Mapping[str, Output],
        inputs: Mapping[str, Input],
        clock: Clock,
        write: Callable[[Entry], None],
        report_problem: Callable[[str], None],
        resources: ExitStack,
        places: Mapping[str, DosePlace] = MappingProxyType({}),
    ) -> None:
        self._places = places
        self._outputs = outputs
        self._inputs = inputs
        self._clock = clock
        self._write = write
        self._report_problem = report_problem
        self._resources = resources
        """Closing it closes all devices."""
        self._open = ExitStack()
        self.bank: OutputBank | None = None
        """None: the devices are closed."""
        self._sensed: Inputs | None = None
        self._left_on = False
        self._cameras_open = False
        self._generating = False

    @property
    def whole(self) -> bool:
        """Whether all devices are open; generators count once the cameras are open."""
        generating = self._generating or not self._cameras_open
        return self.bank is not None and not self.bank.fault and generating

    @property
    def left_on(self) -> bool:
        """Whether an output could not be switched off, and may still be on."""
        return bool(self.bank.left_on) if self.bank is not None else self._left_on

    def levels(self) -> Mapping[str, float]:
        """Return levels and counts of the inputs; NaN while they are closed."""
        sensed = self._sensed
        return unknown_levels(self._inputs) if sensed is None else sensed.now()

    def take_reads(self, name: str, until_ns: int) -> list[TagRead]:
        """Return the tags that a reader has read up to a time, each once."""
        sensed = self._sensed
        return [] if sensed is None else sensed.take_reads(name, until_ns)

    def open(self) -> str:
        """Open all devices; those that are still open are closed first.

        Return why one could not be opened; then none is open. Empty: all are open.
        """
        # A device that is still open would refuse to be opened again.
        self._open.close()
        self._left_on = self.left_on
        self.bank = self._sensed = None
        self._generating = False

        # Closed in reverse order: the timer ends before inputs and outputs are closed.
        stack = ExitStack()
        try:
            # before the outputs: what they give must be counted until they are closed
            doses = stack.enter_context(
                open_accounts(self._outputs, self._places, self._clock, self._write)
            )
            bank = stack.enter_context(
                opened(self._outputs, self._clock, self._write, doses)
            )
            sensed = stack.enter_context(
                open_inputs(self._inputs, self._clock, self._write)
            )
            stack.enter_context(PulseTimer(bank, self._clock))
        except DeepLabStreamError as error:
            stack.close()
            return str(error)

        self._resources.push(stack)
        self._open, self.bank, self._sensed = stack, bank, sensed
        return self._generate() if self._cameras_open else ""

    def cameras_open(self) -> str:
        """Open the generators of pulses, because all cameras are ready now.

        Return why one could not be opened, or "".
        """
        self._cameras_open = True
        return self._generate() if self._sensed is not None else ""

    def _generate(self) -> str:
        if self._generating or self._sensed is None:
            return ""
        try:
            # moved to `_open` only when all are open: after an error those before are closed
            with ExitStack() as stack:
                for name, device in self._inputs.items():
                    if _generates(device):
                        _open_input(stack, name, device, self._sensed)
                self._open.push(stack.pop_all())
        except DeepLabStreamError as error:
            return str(error)
        self._generating = True
        return ""

    def switch_off(self, why: str, cause: str) -> None:
        """Write 0 to all outputs and refuse to switch on; callable from any thread."""
        bank = self.bank
        if bank is not None:
            bank.switch_off_and_latch(why, self._clock.now_ns(), cause)

    def test(self, name: str) -> None:
        """Switch an output on for `PULSE_S`."""
        if self.bank is None:
            return
        seconds = min(PULSE_S, self._outputs[name].max_on_s)
        pulse = Pulse(OutputName(name), seconds)
        try:
            self.bank.apply([pulse], self._clock.now_ns(), "test")
        except DeepLabStreamError as error:
            self._report_problem(str(error))
