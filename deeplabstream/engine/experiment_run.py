"""A running experiment: its plan, its outputs and its permit to keep them on."""

from math import inf

from deeplabstream.engine.output_bank import Bank
from deeplabstream.plugins.experiment import Stepper


class RunningExperiment:
    """What the loop remembers of the experiment that runs."""

    def __init__(self, stepper: Stepper, bank: Bank, named: frozenset[str]) -> None:
        self.stepper = stepper
        self.bank = bank
        self.named = named
        """The triggers that its settings name."""
        self.status = "running"
        self.heard_ns = 0
        """When the deciding camera was last heard of."""
        self.began_s = inf
        self.silent = False
        self.revoked = False
        """Whether the permit has ended: nothing may be switched on."""
        self._lost_since_s: float | None = None

    def loses(self, lost: bool, time_s: float, allowed_s: float) -> bool:
        """Return whether the permit ends with this frame.

        It comes back with the first frame that is not lost; what was on stays off until
        the plan asks anew.
        """
        if not lost:
            self._lost_since_s, self.revoked = None, False
            return False
        if self._lost_since_s is None:
            self._lost_since_s = time_s
        if self.revoked or time_s - self._lost_since_s < allowed_s:
            return False
        self.revoked = True
        return True
