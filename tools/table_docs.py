"""Generated tables of the documentation: measures of results, files of a run folder.

    python -m tools.table_docs

writes them into docs/results.md and docs/run_folder.md; tests compare the pages.
"""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from deeplabstream.analysis.measures import MEASURES, Subject
from deeplabstream.recording.run_schema import (
    FILES,
    TABLES,
    UPGRADES,
    VERSION,
    TableSchema,
)

_BEGIN = "<!-- written by python -m tools.table_docs -->"
_END = "<!-- end of the generated part -->"
_TITLES: dict[Subject, str] = {
    "track": "Movement",
    "mobility": "Mobility",
    "freezing": "Freezing",
    "head": "Head direction and turning",
    "space": "Movement in space",
    "rearing": "Rearing",
    "region": "Regions",
    "wall": "Thigmotaxis",
    "point": "Points",
    "animal": "Other animals",
    "behaviour": "Behaviours",
    "output": "Stimulation",
    "trial": "Trials",
}


def _measures() -> Iterator[str]:
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


def _run_folder() -> list[str]:
    """Return the lines on the files of a run folder, from `run_schema`."""
    lines = [
        "## Files",
        "",
        f"This is schema {VERSION}, `schema` in `run.json`. CAMERA is the name of a camera.",
        "",
        "| file | content |",
        "|---|---|",
        *(f"| `{name}` | {content} |" for name, content in FILES.items()),
        "",
    ]
    for table in TABLES:
        lines += _table(table)
    lines += [
        "## Earlier schemas",
        "",
        "The program reads every earlier schema. It refuses a run of a later one.",
        "",
        *_upgrades(),
        "",
    ]
    return lines


def _table(table: TableSchema) -> Iterator[str]:
    yield f"## `{table.file}`"
    yield ""
    yield f"One row per {table.rows}."
    yield ""
    yield "| column | type | unit | meaning | an empty cell means |"
    yield "|---|---|---|---|---|"
    for column in table.columns:
        name = re.sub(r"\{(\w+)\}", lambda match: match[1].upper(), column.name)
        empty = column.empty or "–"
        yield f"| `{name}` | {column.type.dtype} | {column.unit} | {column.meaning} | {empty} |"
    yield ""


def _upgrades() -> Iterator[str]:
    for version, upgrade in UPGRADES.items():
        names = []
        if upgrade.columns:
            names.append(f"column {_renamed(upgrade.columns)}")
        if upgrade.identity:
            counts = _renamed(upgrade.identity)
            names.append(f"in `run.json`, below `identity`, {counts}")
        added = ", ".join(f"`{name}`" for name in upgrade.added)
        plural = "s" if len(upgrade.added) > 1 else ""
        lacking = f"Tables may lack the column{plural} {added}."
        changed = "; ".join(names)
        yield f"* Schema {version}: {changed + '. ' if changed else ''}{lacking}"


def _renamed(names: Mapping[str, str]) -> str:
    return ", ".join(f"`{old}` is now `{new}`" for old, new in names.items())


PAGES = {"results.md": _measures, "run_folder.md": _run_folder}
"""Pages of docs/ with a generated part, and the function that yields its lines."""


def generated(name: str, page: str) -> str:
    """Return a page of docs/ with its generated part replaced."""
    before, _, rest = page.partition(_BEGIN)
    _, _, after = rest.partition(_END)
    return before + "\n".join([_BEGIN, *PAGES[name](), _END]) + after


if __name__ == "__main__":
    for name in PAGES:
        file = Path("docs", name)
        page = generated(name, file.read_text("utf-8"))
        file.write_text(page, "utf-8", newline="\n")
