"""A trigger on the measures so far, such as time in a region, entries or distance."""

from collections.abc import Mapping
from dataclasses import field
from typing import Literal

from pydantic import Field
from pydantic.dataclasses import dataclass as settings

from deeplabstream.plugin import (
    AnimalName,
    Answer,
    ContextTrigger,
    TriggerContext,
    TriggerName,
)


@settings(kw_only=True)
class Measure(ContextTrigger):
    """True while a measure so far of an animal is at least VALUE, or below it.

    Unknown while the position of the animal is not known, of a region while the body parts
    of its trigger are not known, and while the measure is not defined.
    """

    measure: Literal[
        "distance",
        "mean_speed",
        "immobile_time",
        "immobile_bouts",
        "mobile_time",
        "tracked",
        "duration",
        "region_time",
        "region_share",
        "region_entries",
        "region_exits",
        "region_latency",
        "region_distance",
        "region_mean_speed",
    ] = Field(description="measure since the start of the experiment (docs/results.md)")
    region_of: TriggerName | None = Field(
        None,
        description="for measures of a region: trigger with the REGION",
    )
    animal: AnimalName = Field(
        "1", description="which of several animals: its name or number"
    )
    comparison: Literal["at least", "below"] = Field(
        "at least", description="at least: true from VALUE on; below: true up to it"
    )
    value: float = Field(
        0.0,
        description="limit, in seconds, counts, or mm (px without MM_PER_PIXEL or MARKS)",
    )
    than: TriggerName | None = Field(
        None,
        description="compares with the measure of this trigger's REGION instead of VALUE; "
        "empty: with VALUE",
        title="Than the region of",
    )
    decide_at_s: float = Field(
        0.0,
        ge=0,
        description="false until so many seconds after the start of the experiment, then "
        "compared once; 0: compared on each frame",
        title="Decide once at (s)",
    )
    _decided: bool | None = field(default=None, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        of_region = self.measure.startswith("region_")
        if of_region and not self.region_of:
            raise ValueError(
                f"MEASURE = {self.measure}: REGION_OF is missing, the NAME of a trigger "
                "with a REGION"
            )
        if not of_region and (self.region_of or self.than):
            key = "REGION_OF" if self.region_of else "THAN"
            raise ValueError(
                f"{key} = {self.region_of or self.than}: MEASURE = {self.measure} is not a "
                f"measure of a region; remove {key}"
            )

    @property
    def named_animals(self) -> Mapping[str, tuple[str, ...]]:
        """The animal that its settings name."""
        return {"ANIMAL": (self.animal,)} if self.animal else {}

    @property
    def measured_regions(self) -> Mapping[str, TriggerName]:
        """The triggers whose regions are measured, by key."""
        named = {"REGION_OF": self.region_of, "THAN": self.than}
        return {key: name for key, name in named.items() if name}

    @property
    def needs_mobility(self) -> bool:
        """Whether it needs thresholds of the speed."""
        return "mobile" in self.measure

    def evaluate(self, context: TriggerContext, time_s: float) -> Answer:
        """Compare the measure; None: the animal is lost or the measure is not defined."""
        measures = context.measures
        for of in (self.region_of, self.than) if self.region_of else ("",):
            if of is not None and not measures.is_known(of, self.animal):
                return None
        if not self.decide_at_s:
            return self._compare(context)
        if self._decided is None:
            if measures.value("duration", animal=self.animal) < self.decide_at_s:
                return False
            self._decided = self._compare(context)
        return self._decided

    def _compare(self, context: TriggerContext) -> Answer:
        value = context.measures.value
        own = value(self.measure, self.region_of or "", self.animal)
        limit = self.value
        if self.than:
            limit = value(self.measure, self.than, self.animal)
        if own != own or limit != limit:
            return None
        return own >= limit if self.comparison == "at least" else own < limit
