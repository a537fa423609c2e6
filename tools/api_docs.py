"""Documentation of the library: its reference page, from the docstrings.

python -m tools.api_docs docs/api.md
"""

import inspect
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import deeplabstream

LIBRARY = (
    "open_run",
    "RecordedRun",
    "PoseArrays",
    "analyse",
    "AnalysisOptions",
    "RunResults",
    "RunCatalogue",
    "RunQuery",
    "analyse_runs",
    "Study",
    "compare_groups",
    "GroupComparison",
    "plot",
    "PlotOptions",
    "save_plot",
    "group_plot",
    "write_run_report",
    "write_study_report",
    "StudyOptions",
    "load_model",
    "predict",
    "evaluate",
    "train",
    "TrainConfig",
    "Trained",
    "import_run",
    "ImportOptions",
    "ImportedRun",
    "uncertain_places",
    "UncertainPlace",
    "correct",
    "frames_between",
    "frames_until",
    "undo_correction",
    "replay",
    "Session",
)
"""The public names for notebooks, in the order of the page."""
_HEAD = """\
# The library for notebooks

This page is written by `python -m tools.api_docs docs/api.md` from the
docstrings; a test compares it with them.

`import deeplabstream as dls` loads neither torch nor Qt: each function loads what it needs
when it is first used. Every error that a user can fix is a `DeepLabStreamError`. Three
notebooks show the functions at work: [a recorded run](notebooks/recorded_run.ipynb),
[results of three runs](notebooks/results.ipynb) and
[predictions and errors](notebooks/predict_and_evaluate.ipynb). In the examples
`output/2026-11-21_10-58-55` stands for the folder of your run.
"""
_TERMS = ("Parameters", "Attributes", "Returns", "Yields", "Raises")


def describe() -> str:
    """Return docs/api.md."""
    parts = [_HEAD]
    for name in LIBRARY:
        each = getattr(deeplabstream, name)
        parts.append(f"## {name}\n")
        made_by_user = name not in (
            "RecordedRun",
            "PoseArrays",
            "RunResults",
            "Study",
            "GroupComparison",
            "Trained",
            "ImportedRun",
        )
        parts += _described(f"dls.{name}", each, made_by_user)
        if inspect.isclass(each):
            for method, what in vars(each).items():
                if inspect.isfunction(what) and not method.startswith("_"):
                    parts.append(f"### {name}.{method}\n")
                    parts += _described(f".{method}", what, True)
    return "\n".join(parts)


def _described(call: str, what: object, callable_by_user: bool) -> Iterator[str]:
    if callable_by_user:
        yield f"```text\n{call}({', '.join(_parameters(what))})\n```\n"
    lines = (inspect.getdoc(what) or "").splitlines()
    starts = [
        place
        for place, line in enumerate(lines)
        if re.fullmatch("-{3,}", line) and place > 0
    ]
    bounds = [*(place - 1 for place in starts), len(lines)]
    yield _paragraphs(lines[: bounds[0]])
    for start, end in zip(starts, bounds[1:], strict=True):
        title, body = lines[start - 1], lines[start + 1 : end]
        yield f"**{title}**\n"
        if title in _TERMS:
            yield "\n".join(_terms(body)) + "\n"
        elif title == "Examples":
            yield (
                "\n".join(["```pycon", *body, "```"]).replace("\n\n```", "\n```") + "\n"
            )
        else:
            yield _paragraphs(body)


def _parameters(what: object) -> Iterator[str]:
    """Yield the parameters as they are written, without types."""
    star = False
    for name, each in inspect.signature(what).parameters.items():  # type: ignore[arg-type]
        if name == "self":
            continue
        if each.kind is each.KEYWORD_ONLY and not star:
            star = True
            yield "*"
        default = each.default
        if default is each.empty:
            yield name
        elif callable(default):
            yield f"{name}={default.__name__}"
        else:
            yield f"{name}={default!r}"


def _paragraphs(lines: Sequence[str]) -> str:
    return "\n".join(lines).strip() + "\n"


def _terms(lines: Sequence[str]) -> Iterator[str]:
    """Yield a list from `name : type` and the indented lines below each."""
    for line in lines:
        if not line.strip():
            continue
        if line.startswith(" "):
            yield f"  {line.strip()}"
            continue
        name, colon, kind = line.partition(" : ")
        yield f"* `{name}` ({kind}):" if colon else f"* {line}:"


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(describe(), "utf-8", newline="\n")
