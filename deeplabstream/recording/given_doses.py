"""Given doses: what an output had given before an experiment, as a note of the run has it.

A re-run starts its limits per hour and day with it, so that it refuses what the rig refused.
"""

import re
from collections.abc import Sequence

from deeplabstream.core.doses import Dose

DOSES = "doses"
"""Subject of the note."""
_NOTE = re.compile(r"\[Output (?P<output>.+)\] had given (?P<doses>.*)", re.DOTALL)
_DOSE = re.compile(
    r"(?P<pulses>\d+) pulses of (?P<seconds>[\d.e+-]+) s, (?P<ago>[\d.e+-]+) s ago"
)


def given_text(output: str, doses: Sequence[tuple[float, Dose]]) -> str:
    """Return the text of the note; each dose has the time since it was given, in seconds.

    >>> given_text("water", [(61.5, Dose(3, 0.6))])
    '[Output water] had given 3 pulses of 0.6 s, 61.5 s ago'
    """
    texts = [
        f"{dose.pulses} pulses of {dose.seconds!r} s, {ago_s!r} s ago"
        for ago_s, dose in doses
    ]
    return f"[Output {output}] had given {'; '.join(texts)}"


def read_given(text: str) -> tuple[str, list[tuple[float, Dose]]] | None:
    """Return output and doses of a note; None: it is damaged.

    >>> read_given("[Output water] had given 3 pulses of 0.6 s, 61.5 s ago")
    ('water', [(61.5, Dose(pulses=3, seconds=0.6))])
    """
    if (note := _NOTE.fullmatch(text)) is None:
        return None
    doses: list[tuple[float, Dose]] = []
    for part in note["doses"].split("; "):
        if (found := _DOSE.fullmatch(part)) is None:
            return None
        try:
            dose = Dose(int(found["pulses"]), float(found["seconds"]))
            doses.append((float(found["ago"]), dose))
        except ValueError:
            return None
    return note["output"], doses
