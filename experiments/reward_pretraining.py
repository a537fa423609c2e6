"""Reward pre-training: the animal learns where, and that, there is reward."""

from random import Random

from pydantic import Field
from pydantic.dataclasses import dataclass as settings

from deeplabstream import (
    SEED_WORDS,
    Experiment,
    Mark,
    OutputName,
    Plan,
    Pulse,
    Seed,
    TriggerName,
    until,
    until_known,
    wait,
)

from .trial_order import INTERVAL_WORDS, Choice, IntervalSetting


@settings(kw_only=True, config={"arbitrary_types_allowed": True})
class RewardPreTraining(Experiment):
    """Reward each visit, and the animal that does not come for free now and then."""

    trigger: TriggerName = Field(description="the animal is at the port")
    reward: OutputName = Field(description="what a reward opens")
    reward_s: float = Field(0.2, gt=0, description="seconds for which REWARD is open")
    rewards: int = Field(40, gt=0, description="rewards after which it ends")
    free_after_s: float = Field(
        120.0, gt=0, description="seconds without a visit after which one is free"
    )
    interval: IntervalSetting = Field(
        Choice((10.0,)), description=f"after a reward, {INTERVAL_WORDS}"
    )
    seed: Seed = Field(0, description=f"another number, other intervals; {SEED_WORDS}")

    def plan(self) -> Plan[None]:
        """Reward by reward."""
        random = Random(self.seed)
        for number in range(1, self.rewards + 1):
            earned = yield from until(self.trigger, at_most_s=self.free_after_s)
            yield from until_known(self.trigger)
            yield Mark(f"reward {number}: {'earned' if earned else 'free'}")
            yield Pulse(self.reward, seconds=self.reward_s)
            yield from wait(self.interval.draw(random))
