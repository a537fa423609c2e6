"""Resumed state: what a run continues from an earlier one, as `run.json` has it."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Annotated, Any

from pydantic import ConfigDict, Field, ValidationError
from pydantic.dataclasses import dataclass

from deeplabstream.plugins.onset_counter import OnsetCounts

RESUMED = "resumed"
"""Entry of `run.json`; a run that continues none has no such entry."""
_Seconds = Annotated[float, Field(allow_inf_nan=False, ge=0)]
_Number = Annotated[float, Field(allow_inf_nan=False)]


@dataclass(frozen=True, kw_only=True, config=ConfigDict(extra="ignore"))
class ResumedState:
    """Counts of triggers and what the experiment has reached, at Start Stream."""

    run: str
    """Folder of the run that is continued."""
    sentence: str
    """What is continued, for the user."""
    experiment: str
    """Name of its experiment."""
    lasted_s: _Seconds = 0.0
    """Duration of the experiment in the earlier runs, in seconds."""
    triggers: Mapping[str, OnsetCounts] = Field(default_factory=dict)
    """Counts of each trigger."""
    reached: Mapping[str, Mapping[str, _Number]] = Field(default_factory=dict)
    """By arena, of the name "" without arenas: what its experiment has reached."""

    def facts(self) -> dict[str, Any]:
        """Return the entry of `run.json`."""
        return asdict(self)


def resumed_of(facts: Mapping[str, Any]) -> ResumedState | None:
    """Return what a run has continued; None: it has continued none, or the entry is damaged."""
    found = facts.get(RESUMED)
    return _parsed(found) if isinstance(found, Mapping) else None


def is_resumed(found: object) -> bool:
    """Return whether an entry of `run.json` can be read."""
    return isinstance(found, Mapping) and _parsed(found) is not None


def _parsed(found: Mapping[str, Any]) -> ResumedState | None:
    try:
        return ResumedState(**found)
    except (ValidationError, TypeError):
        return None
