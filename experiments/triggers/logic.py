"""Combinations of triggers: all, any, not, in sequence."""

from collections.abc import Mapping
from dataclasses import field

from pydantic import Field
from pydantic.dataclasses import dataclass as settings

from deeplabstream.plugin import Answer, TriggerCombination, TriggerName


@settings(kw_only=True)
class MultiTrigger(TriggerCombination):
    """A combination of two triggers or more."""

    triggers: tuple[TriggerName, ...] = Field(
        min_length=1, description="triggers, separated by commas"
    )

    @property
    def named(self) -> tuple[TriggerName, ...]:
        """Return TRIGGERS."""
        return self.triggers


@settings(kw_only=True)
class AllOf(MultiTrigger):
    """True while all TRIGGERS are true, false while one is false, else unknown."""

    def combine(self, answers: Mapping[str, Answer], time_s: float) -> Answer:
        """Return the three-valued `and` of the answers."""
        known = [answers[name] for name in self.triggers]
        return False if False in known else None if None in known else True


@settings(kw_only=True)
class AnyOf(MultiTrigger):
    """True while one of TRIGGERS is true, false while all are false, else unknown."""

    def combine(self, answers: Mapping[str, Answer], time_s: float) -> Answer:
        """Return the three-valued `or` of the answers."""
        known = [answers[name] for name in self.triggers]
        return True if True in known else None if None in known else False


@settings(kw_only=True)
class Not(TriggerCombination):
    """True while TRIGGER is false; unknown while TRIGGER is unknown."""

    trigger: TriggerName = Field(description="the trigger")

    @property
    def named(self) -> tuple[TriggerName, ...]:
        """Return TRIGGER."""
        return (self.trigger,)

    def combine(self, answers: Mapping[str, Answer], time_s: float) -> Answer:
        """Return the three-valued `not` of the answer."""
        answer = answers[self.trigger]
        return None if answer is None else not answer


@settings(kw_only=True)
class Sequence(MultiTrigger):
    """Holds once TRIGGERS have held in their order, for as long as the last one holds.

    Each trigger after the first must start to hold after the previous one, within WITHIN_S
    of the last time at which the previous one held. Unknown while one of them is unknown.
    """

    within_s: float = Field(
        5.0, gt=0, description="maximum seconds from one to the next"
    )
    _passed: int = field(default=0, init=False, repr=False, compare=False)
    _last_s: float = field(default=0.0, init=False, repr=False, compare=False)
    _armed: bool = field(default=True, init=False, repr=False, compare=False)

    def combine(self, answers: Mapping[str, Answer], time_s: float) -> Answer:
        """Advance to the next trigger, or restart after the time limit."""
        known = [answers[name] for name in self.triggers]
        if self._passed == len(known) and known[-1] is False:
            self._passed, self._armed = 0, True
        if self._passed < len(known):
            self._advance(known, time_s)
        return None if None in known else self._passed == len(known)

    def _advance(self, known: list[Answer], time_s: float) -> None:
        if self._passed and time_s - self._last_s > self.within_s:
            self._passed, self._armed = 0, True
        if self._passed and known[self._passed - 1]:
            self._last_s = time_s
        awaited = known[self._passed]
        if awaited and self._armed:
            self._passed, self._last_s = self._passed + 1, time_s
            self._armed = known[self._passed % len(known)] is False
        elif self._passed and awaited is False:
            self._armed = True
