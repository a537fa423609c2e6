"""Light checks: settings that need the light cycle, and its absence."""

from collections.abc import Iterator

from deeplabstream.pose.background.background_detector import BACKGROUND
from deeplabstream.settings.sections import Settings


def light_problems(rig: Settings) -> Iterator[str]:
    """Yield a sentence for each setting that needs a light cycle that is not declared.

    And for networks that can't be chosen by the light.
    """
    pose = rig.pose
    if pose.infrared_model and BACKGROUND in (pose.model, pose.infrared_model):
        yield (
            f"[Pose Estimation] INFRARED_MODEL = {pose.infrared_model}: {BACKGROUND} is for any "
            "light; remove INFRARED_MODEL, or name two networks"
        )
    if rig.light.lit is not None:
        return
    needs = "needs LIGHTS_ON and LIGHTS_OFF in [Light Cycle]"
    if rig.experiment.light_phase != "any":
        yield f"[Experiment] LIGHT_PHASE = {rig.experiment.light_phase}: {needs}"
    if pose.infrared_model and pose.infrared_when == "phase":
        yield f"[Pose Estimation] INFRARED_WHEN = phase: {needs}"
    for name, trigger in rig.new_triggers().items():
        if trigger.needs_light_cycle:
            yield f"[Trigger {name}] KIND = {type(trigger).__name__}: {needs}"
