"""Shaping by stages (the second experiment of the DeepLabStream paper)."""

import re
from collections.abc import Mapping
from typing import ClassVar

from pydantic import Field
from pydantic.dataclasses import dataclass as settings

from deeplabstream.plugin import (
    Experiment,
    ExperimentRecord,
    Mark,
    ObservationRequest,
    OutputName,
    Plan,
    Pulse,
    Reached,
    TriggerName,
    during,
    until,
    wait,
)


@settings(kw_only=True)
class Stages(Experiment):
    """Require more at each stage: first a region, then region and head direction.

    An animal that fails for PATIENCE_S goes back by one stage.
    """

    progress: ClassVar[Mapping[str, str]] = {"first_stage": r"(?:back to )?stage (\d+)"}

    stages: tuple[TriggerName, ...] = Field(
        min_length=1, description="trigger of each stage, from easy to difficult"
    )
    reward: OutputName = Field(description="output of the reward")
    reward_s: float = Field(0.2, gt=0, description="on-time of REWARD, in seconds")
    rewards: int = Field(10, gt=0, description="rewards needed to pass a stage")
    rest_s: float = Field(5.0, ge=0, description="pause after a reward, in seconds")
    patience_s: float = Field(
        300.0, gt=0, description="seconds without a reward until the previous stage"
    )
    first_stage: int = Field(1, gt=0, description="number of the stage that is first")

    def __post_init__(self) -> None:
        if self.first_stage > len(self.stages):
            raise ValueError(
                f"FIRST_STAGE = {self.first_stage}: there are {len(self.stages)} STAGES"
            )

    def reached(self, record: ExperimentRecord) -> Reached:
        """Return the stage, and the rewards in it."""
        stage = self.at_start("stage") or self.first_stage
        rewards = self.at_start("rewards")
        for _, command in record.commands:
            if isinstance(command, Mark):
                # a run that continues another one begins with the mark of its stage
                if command.text != f"stage {stage:g}" and (
                    found := re.fullmatch(self.progress["first_stage"], command.text)
                ):
                    stage, rewards = int(found[1]), 0
            elif command.output == self.reward:
                rewards += 1
        if rewards >= self.rewards:  # the last stage is passed
            stage, rewards = stage + 1, 0
        return {"stage": stage, "rewards": rewards}

    def plan(self) -> Plan[None]:
        """Give rewards stage by stage; end when the last stage is passed."""
        stage, earned = self.first_stage - 1, int(self.at_start("rewards"))
        if self.continues:
            stage = int(self.at_start("stage")) - 1
        if stage < len(self.stages):
            yield Mark(f"stage {stage + 1}")
        if self.continues:
            yield from wait(self.rest_s)
        while stage < len(self.stages):
            trigger = self.stages[stage]
            if not (yield from until(trigger, at_most_s=self.patience_s)):
                stage, earned = max(stage - 1, 0), 0
                yield Mark(f"back to stage {stage + 1}")
                continue
            yield Pulse(self.reward, seconds=self.reward_s)
            earned += 1
            if earned == self.rewards:
                stage, earned = stage + 1, 0
                if stage < len(self.stages):
                    yield Mark(f"stage {stage + 1}")
            yield from wait(self.rest_s)
            if not (yield ObservationRequest.NOW).fails(trigger):
                yield from during(trigger, at_most_s=self.patience_s)
