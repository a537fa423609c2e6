"""Generated part of docs/results.md: the table of all measures, from `MEASURES`.

    python -m deeplabstream.analysis.measures_page docs/results.md

writes it; a test compares it with the page.
"""

import sys
from collections.abc import Iterator
from pathlib import Path

from deeplabstream.analysis.measures import MEASURES, Subject

_BEGIN = "<!-- written by python -m deeplabstream.analysis.measures_page -->"
_END = "<!-- end of the generated part -->"
_TITLES: dict[Subject, str] = {
    "track": "Movement",
    "mobility": "Mobility",
    "freezing": "Freezing",
    "head": "Head direction and turning",
    "region": "Regions",
    "wall": "Thigmotaxis",
    "point": "Points",
    "animal": "Other animals",
    "behaviour": "Behaviours",
    "output": "Stimulation",
    "trial": "Trials",
}


def describe() -> str:
    """Return the generated part of docs/results.md."""
    return "\n".join([_BEGIN, *_lines(), _END])


def _lines() -> Iterator[str]:
    for subject, title in _TITLES.items():
        yield f"### {title}"
        yield ""
        yield "| measure | unit | definition | source |"
        yield "|---|---|---|---|"
        for measure in MEASURES:
            if measure.of == subject:
                unit = measure.unit_in("mm")
                cells = f"`{measure.name}`", unit, measure.definition, measure.source
                yield f"| {' | '.join(cells)} |"
        yield ""


def with_description(page: str) -> str:
    """Return docs/results.md with its generated part replaced."""
    before, _, rest = page.partition(_BEGIN)
    _, _, after = rest.partition(_END)
    return before + describe() + after


if __name__ == "__main__":
    file = Path(sys.argv[1])
    file.write_text(with_description(file.read_text("utf-8")), "utf-8", newline="\n")
