"""What a combination is: a question about the answers of other triggers."""

from abc import abstractmethod
from collections.abc import Mapping

from pydantic.dataclasses import dataclass as settings

from deeplabstream.core.command import TriggerName
from deeplabstream.plugins.poseless_trigger import (
    Answer,
    PoselessTrigger,
    TriggerContext,
)
from deeplabstream.plugins.trigger import Trigger

__all__ = ["Answer", "TriggerCombination", "in_order", "named_by"]


@settings(kw_only=True)
class TriggerCombination(PoselessTrigger):
    """A trigger that looks at other triggers; asked after them.

    It sees their last answers, on the frames of its own camera. Unknown is not no.
    """

    @property
    @abstractmethod
    def named(self) -> tuple[TriggerName, ...]:
        """The triggers that it looks at."""

    @abstractmethod
    def combine(self, answers: Mapping[str, Answer], time_s: float) -> Answer:
        """Return the answer; `answers` has those of `named`."""

    def judge(self, known: TriggerContext, time_s: float) -> Answer:
        """Return what their answers come to."""
        return self.combine(known.answers, time_s)


def in_order(triggers: Mapping[str, Trigger]) -> dict[str, Trigger]:
    """Return the triggers so that each comes after those that it looks at.

    Otherwise they stay as they stand; those that go round in a circle come last.
    """
    ordered: dict[str, Trigger] = {}
    while len(ordered) < len(triggers):
        ready = {
            name: trigger
            for name, trigger in triggers.items()
            if name not in ordered
            and ordered.keys() >= set(named_by(trigger)) & triggers.keys()
        }
        if not ready:
            return {**ordered, **triggers}
        ordered |= ready
    return ordered


def named_by(trigger: Trigger) -> tuple[TriggerName, ...]:
    """Return the triggers that one looks at."""
    return trigger.named if isinstance(trigger, TriggerCombination) else ()
