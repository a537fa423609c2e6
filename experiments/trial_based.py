"""Trials: the animal starts one, and is watched for what it does then."""

from random import Random
from typing import Annotated, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass as settings

from deeplabstream import (
    SEED_WORDS,
    Experiment,
    Mark,
    ObservationRequest,
    OutputName,
    Plan,
    Pulse,
    Seed,
    TriggerName,
    off,
    until,
    until_known,
    wait,
)

from .trial_order import INTERVAL_WORDS, Choice, IntervalSetting, drawn

Weight = Annotated[float, Field(gt=0)]


@settings(kw_only=True, config={"arbitrary_types_allowed": True})
class TrialBased(Experiment):
    """Show a stimulus when the animal starts a trial, and reward the right answer."""

    start: TriggerName = Field(description="the trigger that starts a trial")
    answer: TriggerName = Field(description="the trigger that is right during a trial")
    stimuli: tuple[OutputName, ...] = Field(
        min_length=1, description="what is shown: one of them in each trial"
    )
    weights: tuple[Weight, ...] = Field(
        (), description="how often each of STIMULI comes; empty: all as often"
    )
    longest_run: int = Field(
        0, ge=0, description="trials in a row with one stimulus, at most; 0: no limit"
    )
    reward: OutputName | None = Field(None, description="what a right answer opens")
    reward_s: float = Field(0.2, gt=0, description="seconds for which REWARD is open")
    trial_s: float = Field(10.0, gt=0, description="seconds of a trial")
    stimulus_s: float = Field(10.0, gt=0, description="seconds of a stimulus")
    result: Literal["any", "all"] = Field(
        "any",
        description="right when ANSWER held on any frame of the trial, or on all on which "
        "it was known",
    )
    successes: int = Field(20, gt=0, description="right trials after which it ends")
    trials: int = Field(40, gt=0, description="trials after which it ends")
    interval: IntervalSetting = Field(
        Choice((40.0,)), description=f"between trials, {INTERVAL_WORDS}"
    )
    seed: Seed = Field(
        0, description=f"another number, another order and intervals; {SEED_WORDS}"
    )

    def __post_init__(self) -> None:
        if self.weights and len(self.weights) != len(self.stimuli):
            raise ValueError(
                f"WEIGHTS: {len(self.weights)} for {len(self.stimuli)} STIMULI, "
                "expected one for each"
            )

    def plan(self) -> Plan[None]:
        """Trial by trial."""
        random, right = Random(self.seed), 0
        weights = self.weights or (1.0,) * len(self.stimuli)
        order = drawn(self.stimuli, weights, self.trials, random, self.longest_run)
        for trial, stimulus in enumerate(order, 1):
            yield from until(self.start)
            yield Mark(f"trial {trial}: {stimulus}")
            yield Pulse(stimulus, seconds=min(self.stimulus_s, self.trial_s))
            success = yield from self._watched()
            yield off(stimulus)
            right += success
            yield Mark(f"trial {trial}: {'right' if success else 'wrong'}")
            if success and self.reward:
                yield from until_known(self.answer)
                yield Pulse(self.reward, seconds=self.reward_s)
            if right == self.successes:
                return
            yield from wait(self.interval.draw(random))

    def _watched(self) -> Plan[bool]:
        """Watch ANSWER for a trial and return whether it was right."""
        start_s = (yield ObservationRequest.NOW).time_s
        answers = set()
        while True:
            seen = yield ObservationRequest.NEXT
            answers.add(seen.triggers[self.answer])
            if seen.time_s - start_s >= self.trial_s:
                return True in answers and not (
                    self.result == "all" and False in answers
                )
