"""The rig's outputs and inputs, as the engine holds them: all are open, or none is."""

from collections.abc import Callable, Mapping
from contextlib import ExitStack

from core.clock import Clock
from core.command import OutputName, Pulse
from core.errors import DeepLabStreamError
from core.record import Entry
from engine.inputs import Inputs, open_inputs
from engine.tryout import PULSE_S
from outputs.bank import Bank, opened
from outputs.input import Input
from outputs.output import Output
from outputs.ticker import Ticker


class Bench:
    """Opens them, and anew after one was lost; says why when they can't be."""

    def __init__(
        self,
        outputs: Mapping[str, Output],
        inputs: Mapping[str, Input],
        clock: Clock,
        write: Callable[[Entry], None],
        complain: Callable[[str], None],
        resources: ExitStack,
    ) -> None:
        self._outputs = outputs
        self._inputs = inputs
        self._clock = clock
        self._write = write
        self._complain = complain
        self._resources = resources
        """When this is left, all is closed."""
        self._open = ExitStack()
        self.bank: Bank | None = None
        """None: nothing is open."""
        self._sensed: Inputs | None = None
        self._left_on = False

    @property
    def whole(self) -> bool:
        """Whether all are open, and none was lost."""
        return self.bank is not None and not self.bank.broken

    @property
    def left_on(self) -> bool:
        """Whether an output could not be switched off, and may still be on."""
        return bool(self.bank.left_on) if self.bank is not None else self._left_on

    def levels(self) -> Mapping[str, float]:
        """Return levels and counts of the inputs; nothing while they are closed."""
        return self._sensed.now() if self._sensed is not None else {}

    def open(self) -> bool:
        """Open all; what was open and has lost an output is closed before."""
        self._open.close()
        self._left_on = self.left_on
        self.bank = self._sensed = None
        stack = ExitStack()
        try:
            bank = stack.enter_context(opened(self._outputs, self._clock, self._write))
            sensed = stack.enter_context(
                open_inputs(self._inputs, self._clock, self._write)
            )
            stack.enter_context(Ticker(bank, self._clock))
        except DeepLabStreamError as error:
            stack.close()
            self._complain(str(error))
            return False
        self._resources.push(stack)
        self._open, self.bank, self._sensed = stack, bank, sensed
        return True

    def switch_off(self, why: str, cause: str) -> None:
        """Write 0 to all outputs and refuse to switch on; callable from any thread."""
        bank = self.bank
        if bank is not None:
            bank.shut(why, self._clock.now_ns(), cause)

    def test(self, name: str) -> None:
        """Pulse an output for a moment."""
        if self.bank is None:
            return
        seconds = min(PULSE_S, self._outputs[name].max_on_s)
        pulse = Pulse(OutputName(name), seconds)
        try:
            self.bank.apply([pulse], self._clock.now_ns(), "test")
        except DeepLabStreamError as error:
            self._complain(str(error))
