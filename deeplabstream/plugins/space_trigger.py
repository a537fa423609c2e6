"""Contract of triggers in space: conditions on the pose of one animal in mm."""

from abc import abstractmethod
from collections.abc import Mapping
from typing import Annotated

from pydantic import BeforeValidator, Field
from pydantic.dataclasses import dataclass as settings

from deeplabstream.core.space_pose import SPACE, SpacePose
from deeplabstream.core.volumes import Volume, parse_volume
from deeplabstream.plugins.trigger import Answer, Trigger

VolumeSetting = Annotated[Volume, BeforeValidator(parse_volume)]
"""A `Volume` that is written in one line of settings.ini."""


@settings(kw_only=True, config={"arbitrary_types_allowed": True})
class SpaceTrigger(Trigger):
    """A condition on body parts in space, evaluated once for each moment.

    A point whose error is above MAX_ERROR_MM is unknown; so is then the trigger.
    """

    camera: str = Field(
        SPACE,
        pattern=f"^{SPACE}$",
        description="always space: it is evaluated on the pose in space",
    )
    bodyparts: tuple[str, ...] = Field(
        min_length=1,
        description="body parts, as the network names them",
        title="Body parts",
    )
    max_error_mm: float = Field(
        0.0,
        ge=0,
        description="standard error in mm above which a point is unknown; 0: no limit",
    )

    @abstractmethod
    def holds(self, pose: SpacePose, time_s: float) -> Answer:
        """Return the answer; called only when all of `bodyparts` are known.

        Positions are in mm, z up; `time_s` is the time of the moment. None when the pose
        does not suffice, such as for a speed on the first moment.
        """

    @property
    def named_bodyparts(self) -> Mapping[str, tuple[str, ...]]:
        """The body parts that its settings name, by key."""
        return {"BODYPARTS": self.bodyparts}

    def bodyparts_known(self, pose: SpacePose) -> bool:
        """Return whether all of `bodyparts` are known, within MAX_ERROR_MM."""
        limit_mm = self.max_error_mm or float("inf")
        # a NaN is not within any limit
        return all(error <= limit_mm for error in pose.errors(self.bodyparts))

    def answer(self, pose: SpacePose | None, time_s: float) -> Answer:
        """Return the debounced answer; None: unknown, also without a pose."""
        answer = None
        if pose is not None and self.bodyparts_known(pose):
            answer = self.holds(pose, time_s)
        else:
            self.reset()
        return self.debounced(None if answer is None else bool(answer), time_s)
