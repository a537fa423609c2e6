"""A finding about the computer: what it is, why it matters, and the command that cures it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum


class Severity(Enum):
    """How much a finding matters."""

    PROBLEM = "problem"
    """Something does not work, or silently works otherwise than asked for."""
    WARNING = "warning"
    """It works, but slower or with a risk."""
    NOTE = "note"
    """Worth knowing; nothing has to be done."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was found."""

    key: str
    """Its name in the JSON report; the same in all versions."""
    severity: Severity
    area: str
    """What it belongs to: GPU, memory, serial ports."""
    what: str
    why: str = ""
    cure: str = ""
    """One command for this computer, or one thing to do where no command helps."""

    def to_json(self) -> dict[str, str]:
        """Return the finding made of what JSON knows."""
        return {
            "key": self.key,
            "severity": self.severity.value,
            "area": self.area,
            "what": self.what,
            "why": self.why,
            "cure": self.cure,
        }

    def lines(self) -> list[str]:
        """Return the finding in words, line by line."""
        lines = [f"{self.severity.value.upper():<8} {self.area}: {self.what}"]
        if self.why:
            lines.append(f"         {self.why}")
        if self.cure:
            lines.append(f"         -> {self.cure}")
        return lines


def ordered(findings: Sequence[Finding]) -> tuple[Finding, ...]:
    """Return findings, the most severe first."""
    rank = list(Severity)
    return tuple(sorted(findings, key=lambda each: rank.index(each.severity)))


def has_problem(findings: Sequence[Finding]) -> bool:
    """Return whether one of the findings is a problem."""
    return any(each.severity is Severity.PROBLEM for each in findings)
