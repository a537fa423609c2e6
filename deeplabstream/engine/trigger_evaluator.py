"""The triggers of a run: each asked once per frame of its camera; what is known is kept."""

from collections.abc import Callable, Iterable, Mapping
from math import inf, nan
from types import MappingProxyType

from deeplabstream.core.pose import Pose
from deeplabstream.engine.pose_filtering import FilteredPose
from deeplabstream.plugins.trigger import (
    BodyPartTrigger,
    ContextTrigger,
    Trigger,
    TriggerContext,
    in_order,
    named_by,
)

Answers = dict[str, bool | None]
_NEVER = -inf, None


class TriggerEvaluator:
    """Asks triggers and knows the last of everything that a decision may use.

    `note` gets a sentence when a sham begins or ends.
    """

    def __init__(
        self, deciding: str, stale_s: float, note: Callable[[str, str], None]
    ) -> None:
        self._deciding = deciding
        self._stale_s = stale_s
        self._note = note
        self.triggers: Mapping[str, Trigger] = {}
        self._answers: dict[str, tuple[float, bool | None]] = {}
        self._sights: dict[str, tuple[float, FilteredPose]] = {}
        self._shams: set[str] = set()
        self.held: dict[str, str] = {}

    @property
    def poses(self) -> dict[str, Pose]:
        """The last pose of each camera, as triggers saw it."""
        return {camera: sight.pose for camera, (_, sight) in self._sights.items()}

    def begin(self, triggers: Mapping[str, Trigger]) -> None:
        """Ask these triggers from now on; they must be new, without memory."""
        self.triggers = in_order(triggers)
        self._answers.clear()
        self._sights.clear()
        self._shams.clear()

    def ask(
        self,
        answers: Answers,
        camera: str,
        sight: FilteredPose,
        time_s: float,
        too_old: bool,
        inputs: Mapping[str, float] = MappingProxyType({}),
    ) -> None:
        """Put into `answers` those of all triggers that look at `camera`.

        Nothing is asked about a frame that is too old: all of it is unknown. Afterwards
        `held` has, for the record, the triggers whose answer is held: see `Step.flags`.
        """
        self.held = {}
        self._sights[camera] = time_s, sight
        for name, trigger in self.triggers.items():
            if (trigger.camera or self._deciding) != camera:
                continue
            if too_old:
                answers[name] = None
            elif isinstance(trigger, ContextTrigger):
                named = self.known(time_s, named_by(trigger))
                context = TriggerContext(named, self.behaviours(time_s), inputs)
                answers[name] = trigger.ask(context, time_s)
            elif isinstance(trigger, BodyPartTrigger):
                answers[name] = trigger.ask(sight.in_unit(trigger.unit), time_s)
            else:
                answers[name] = None
            if trigger.holding and answers[name] is not None:
                self.held[f"[Trigger {name}]"] = "held"
            self._answers[name] = time_s, answers[name]
            if trigger.sham is not (name in self._shams):
                self._shams ^= {name}
                what = f"sham {'begins' if trigger.sham else 'ends'} at {time_s:.3f} s"
                self._note("trigger", f"[Trigger {name}] {what}")

    def known(self, time_s: float, names: Iterable[str] | None = None) -> Answers:
        """Return last answers, by default of all; those too long ago are unknown."""
        oldest_s = time_s - self._stale_s
        wanted = self.triggers if names is None else names
        found = [(name, self._answers.get(name, _NEVER)) for name in wanted]
        return {
            name: said if at_s >= oldest_s else None for name, (at_s, said) in found
        }

    def behaviours(self, time_s: float) -> dict[str, float]:
        """Return the last probabilities of all cameras; NaN for those too long ago."""
        oldest_s = time_s - self._stale_s
        return {
            name: value if at_s >= oldest_s else nan
            for at_s, sight in self._sights.values()
            for name, value in sight.behaviours.items()
        }
