"""Trigger evaluator: the answers of all triggers on a frame, and the last ones of each."""

from collections.abc import Callable, Collection, Iterable, Mapping
from math import inf, nan
from types import MappingProxyType

from deeplabstream.core.light_cycle import LightCycle, LightMoment
from deeplabstream.core.pose import Pose
from deeplabstream.core.space_pose import SpacePose
from deeplabstream.engine.failure_text import add_place
from deeplabstream.engine.pose_filtering import FilteredPose
from deeplabstream.plugins.experiment import NO_MEASURES, MeasuresSoFar
from deeplabstream.plugins.space_trigger import SpaceTrigger
from deeplabstream.plugins.trigger import (
    BodyPartTrigger,
    ContextTrigger,
    Trigger,
    TriggerContext,
    in_order,
    named_by,
)
from deeplabstream.settings.arena_instances import arena_of

Answers = dict[str, bool | None]
_NEVER = -inf, None


class TriggerEvaluator:
    """Evaluates triggers once per frame of their camera; keeps the last answers and poses.

    `context_camera` is that of triggers without a pose and a CAMERA; by default `deciding`.
    `note` gets a sentence when a sham begins or ends. An error of a trigger of one of `arenas`
    ends the evaluation of that arena's triggers only. `light`: the light cycle of the room, if
    it is known.
    """

    def __init__(
        self,
        deciding: str,
        stale_s: float,
        note: Callable[[str, str], None],
        arenas: Collection[str] = (),
        context_camera: str = "",
        light: LightCycle | None = None,
    ) -> None:
        self._arenas = frozenset(arenas)
        self._light = light
        self._deciding = deciding
        self._context_camera = context_camera or deciding
        self._stale_s = stale_s
        self._note = note
        self.triggers: Mapping[str, Trigger] = {}
        self._answers: dict[str, tuple[float, bool | None]] = {}
        self._filtered: dict[str, tuple[float, FilteredPose]] = {}
        self._shams: set[str] = set()
        self.flags: dict[str, str] = {}
        self.failures: dict[str, Exception] = {}
        """Errors of triggers on the last frame, by arena; their arenas have no triggers now."""
        self.measures: MeasuresSoFar = NO_MEASURES
        """Measures that triggers can read."""

    @property
    def poses(self) -> dict[str, Pose]:
        """Last pose of each camera, after filtering."""
        return {
            camera: filtered.pose for camera, (_, filtered) in self._filtered.items()
        }

    def begin(self, triggers: Mapping[str, Trigger]) -> None:
        """Evaluate these triggers from now on; they must be new objects."""
        self.triggers = in_order(triggers)
        self._answers.clear()
        self._filtered.clear()
        self._shams.clear()

    def evaluate(
        self,
        answers: Answers,
        camera: str,
        filtered: FilteredPose | SpacePose,
        time_s: float,
        too_old: bool,
        inputs: Mapping[str, float] = MappingProxyType({}),
    ) -> None:
        """Add the answers of all triggers of `camera`, or of the pose in space, to `answers`.

        On a frame that is too old every trigger is unknown. Afterwards `flags` has, for the
        record, the flags of triggers: see `Step.flags`.
        """
        # flags of triggers in space add to those of the frame that ended the moment
        if isinstance(filtered, FilteredPose):
            self.flags, self.failures = {}, {}
            self._filtered[camera] = time_s, filtered

        # sorted: a trigger that names others comes after them, and reads this frame's answers
        for name, trigger in self.triggers.items():
            if self._camera_of(trigger) != camera:
                continue

            # `answers` is filled step by step: after an error the record keeps the
            # earlier ones
            if too_old:
                answers[name] = None
            else:
                try:
                    answers[name] = self._answer(trigger, filtered, time_s, inputs)
                except Exception as error:
                    add_place(error, f"[Trigger {name}]")
                    if not (arena := arena_of(name, self._arenas)):
                        raise
                    self.failures.setdefault(arena, error)
                    answers[name] = None

            flags = [*trigger.fulfilled_by] if answers[name] else []
            if trigger.holding and answers[name] is not None:
                flags = ["held"]
            if flags:
                self.flags[f"[Trigger {name}]"] = "+".join(flags)
            self._answers[name] = time_s, answers[name]

            if trigger.sham is not (name in self._shams):
                self._shams ^= {name}
                what = f"sham {'begins' if trigger.sham else 'ends'} at {time_s:.3f} s"
                self._note("trigger", f"[Trigger {name}] {what}")

        # they would fail again on every frame
        if self.failures:
            self.triggers = {
                name: trigger
                for name, trigger in self.triggers.items()
                if arena_of(name, self._arenas) not in self.failures
            }

    def _camera_of(self, trigger: Trigger) -> str:
        if trigger.camera:
            return trigger.camera
        is_context = isinstance(trigger, ContextTrigger)
        return self._context_camera if is_context else self._deciding

    def _answer(
        self,
        trigger: Trigger,
        filtered: FilteredPose | SpacePose,
        time_s: float,
        inputs: Mapping[str, float],
    ) -> bool | None:
        if isinstance(trigger, ContextTrigger):
            named = self.recent_answers(time_s, named_by(trigger))
            pose = filtered.pose if isinstance(filtered, FilteredPose) else None
            context = TriggerContext(
                named,
                self.behaviours(time_s),
                inputs,
                self.measures,
                pose,
                self.light_at(time_s),
            )
            return trigger.answer(context, time_s)
        if isinstance(filtered, SpacePose):
            if isinstance(trigger, SpaceTrigger):
                return trigger.answer(filtered, time_s)
            return None
        if isinstance(trigger, BodyPartTrigger):
            return trigger.answer(filtered.in_unit(trigger.unit), time_s)
        return None

    def light_at(self, time_s: float) -> LightMoment | None:
        """Return the place of a time in the light cycle; None: not known."""
        return None if self._light is None else self._light.at(time_s)

    def phase_at(self, time_s: float) -> str:
        """Return the phase of the room at a time; empty: not known."""
        light = self.light_at(time_s)
        return light.phase if light is not None else ""

    def recent_answers(
        self, time_s: float, names: Iterable[str] | None = None
    ) -> Answers:
        """Return the last answers, by default of all triggers; stale ones are unknown."""
        oldest_s = time_s - self._stale_s
        recent: Answers = {}
        for name in self.triggers if names is None else names:
            at_s, answer = self._answers.get(name, _NEVER)
            recent[name] = answer if at_s >= oldest_s else None
        return recent

    def behaviours(self, time_s: float) -> dict[str, float]:
        """Return the last probabilities of all cameras; NaN for stale ones."""
        oldest_s = time_s - self._stale_s
        return {
            name: value if at_s >= oldest_s else nan
            for at_s, filtered in self._filtered.values()
            for name, value in filtered.behaviours.items()
        }
