"""Reward pre-training: the animal learns where reward is available."""

from random import Random

from pydantic import Field
from pydantic.dataclasses import dataclass as settings

from deeplabstream.plugin import (
    SEED_DESCRIPTION,
    Experiment,
    ExperimentRecord,
    Mark,
    OutputName,
    Plan,
    Pulse,
    Reached,
    Seed,
    TriggerName,
    until,
    until_known,
    wait,
)

from .trial_order import INTERVAL_SYNTAX, Choice, IntervalSetting


@settings(kw_only=True, config={"arbitrary_types_allowed": True})
class RewardPreTraining(Experiment):
    """Reward each visit, and give a free reward after FREE_AFTER_S without one."""

    trigger: TriggerName = Field(description="true while the animal is at the port")
    reward: OutputName = Field(description="output of the reward")
    reward_s: float = Field(0.2, gt=0, description="on-time of REWARD, in seconds")
    rewards: int = Field(40, gt=0, description="number of rewards")
    free_after_s: float = Field(
        120.0, gt=0, description="seconds without a visit until a free reward"
    )
    interval: IntervalSetting = Field(
        Choice((10.0,)), description=f"pause after a reward, {INTERVAL_SYNTAX}"
    )
    seed: Seed = Field(0, description=f"seed of the intervals; {SEED_DESCRIPTION}")

    def reached(self, record: ExperimentRecord) -> Reached:
        """Return the number of rewards."""
        given = self.at_start("rewards") + record.switched_on(self.reward)
        return {"rewards": given}

    def plan(self) -> Plan[None]:
        """Give rewards for visits, and free ones after a time without."""
        random, given = Random(self.seed), int(self.at_start("rewards"))
        for number in range(1, self.rewards + 1):
            if number > given:
                yield from self._reward(number)
            pause_s = self.interval.draw(random)
            if number >= given:
                yield from wait(pause_s)

    def _reward(self, number: int) -> Plan[None]:
        """Give a reward for a visit, or a free one after a time without."""
        earned = yield from until(self.trigger, at_most_s=self.free_after_s)
        yield from until_known(self.trigger)
        yield Mark(f"reward {number}: {'earned' if earned else 'free'}")
        yield Pulse(self.reward, seconds=self.reward_s)
