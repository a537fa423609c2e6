"""Run events: the rows of events.csv as a list for a reader, checks summed up, without Qt."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from deeplabstream.core.errors import counted
from deeplabstream.engine.checks.preflight import WARNING

MOST = 5000
"""Most events that are listed."""
_KINDS = {"mark": "event", "note": "info", "edge": "output"}
"""Kinds of rows of events.csv that are listed, and their names in the list."""


@dataclass(frozen=True, slots=True)
class ListedEvent:
    """One row of the list."""

    time_s: float
    """Seconds since Start Stream."""
    kind: str
    text: str
    is_detail: bool = False
    """Whether it is a state of the computer, or a check that passed."""
    is_sum: bool = False
    """Whether it stands for details."""


def listed_events(rows: Sequence[Mapping[str, str]]) -> list[ListedEvent]:
    """Return the events of a run by time; a sum stands before checks that passed."""
    shown = [row for row in rows if row["kind"] in _KINDS][:MOST]
    shown.sort(key=lambda row: float(row["time_s"]))  # rows are in order of arrival
    return [
        event
        for is_check, group in groupby(shown, _is_check)
        for event in (_checks(list(group)) if is_check else map(_listed, group))
    ]


def _checks(rows: Sequence[Mapping[str, str]]) -> Iterator[ListedEvent]:
    """Yield the checks of a pre-flight, after the number of those that passed."""
    passed = [row for row in rows if not row["text"].startswith(WARNING)]
    if passed:
        text = f"preflight: {counted(len(passed), 'check')} passed"
        yield ListedEvent(float(rows[0]["time_s"]), _KINDS["note"], text, is_sum=True)
    yield from map(_listed, rows)


def _listed(row: Mapping[str, str]) -> ListedEvent:
    passed = _is_check(row) and not row["text"].startswith(WARNING)
    is_detail = passed or _is_note(row, "health")
    return ListedEvent(
        float(row["time_s"]), _KINDS[row["kind"]], _text(row), is_detail=is_detail
    )


def _is_check(row: Mapping[str, str]) -> bool:
    return _is_note(row, "preflight")


def _is_note(row: Mapping[str, str], name: str) -> bool:
    return (row["kind"], row["name"]) == ("note", name)


def _text(row: Mapping[str, str]) -> str:
    """Return the text of a row of events.csv."""
    if row["kind"] == "edge":
        word = "on" if float(row["level"]) > 0 else "off"
        return f"{row['name']} {word} ({row['cause']})"
    subject = f"{row['name']}: " if row["kind"] == "note" and row["name"] else ""
    return f"{subject}{row['text']}"
