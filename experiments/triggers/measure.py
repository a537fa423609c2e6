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

    Unknown while the position of the animal, or of TARGET, is not known, of a region while
    the body parts of its trigger are not known, and while the measure is not defined.
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
        "animal_mean_distance",
        "animal_min_distance",
        "contact_time",
        "contacts",
    ] = Field(description="measure since the start of the experiment (docs/results.md)")
    region_of: TriggerName | None = Field(
        None,
        description="for measures of a region: trigger with the REGION",
    )
    animal: AnimalName = Field(
        "1", description="which of several animals: its name or number"
    )
    target: AnimalName = Field(
        "",
        description="for measures of two animals: the other one, its name or number",
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
        if self._of_pair is not bool(self.target):
            raise ValueError(
                f"MEASURE = {self.measure}: TARGET is missing, the other animal"
                if self._of_pair
                else f"TARGET = {self.target}: MEASURE = {self.measure} is not a measure of "
                "two animals; remove TARGET"
            )
        if self.target == self.animal:
            raise ValueError(
                f"TARGET = {self.target}: is the ANIMAL; enter another animal"
            )
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
        """The animals that its settings name."""
        named = {"ANIMAL": self.animal, "TARGET": self.target}
        return {key: (word,) for key, word in named.items() if word}

    @property
    def measured_regions(self) -> Mapping[str, TriggerName]:
        """The triggers whose regions are measured, by key."""
        named = {"REGION_OF": self.region_of, "THAN": self.than}
        return {key: name for key, name in named.items() if name}

    @property
    def needs_mobility(self) -> bool:
        """Whether it needs thresholds of the speed."""
        return "mobile" in self.measure

    @property
    def needs_contacts(self) -> bool:
        """Whether it needs the distance of a contact."""
        return self.measure.startswith("contact")

    @property
    def _of_pair(self) -> bool:
        return self.needs_contacts or self.measure.startswith("animal_")

    def evaluate(self, context: TriggerContext, time_s: float) -> Answer:
        """Compare the measure; None: the animal is lost or the measure is not defined."""
        measures = context.measures
        for of in (self.region_of, self.than) if self.region_of else ("",):
            if of is not None and not measures.is_known(of, self.animal):
                return None
        if self.target and not measures.is_known(animal=self.target):
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
        own = value(self.measure, self.region_of or self.target, self.animal)
        limit = self.value
        if self.than:
            limit = value(self.measure, self.than, self.animal)
        if own != own or limit != limit:
            return None
        return own >= limit if self.comparison == "at least" else own < limit
