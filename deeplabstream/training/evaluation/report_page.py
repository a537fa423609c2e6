"""Evaluation report: one HTML file without external resources."""

from collections.abc import Iterable, Iterator, Sequence
from html import escape
from pathlib import Path

import numpy as np

from deeplabstream.core.errors import counted
from deeplabstream.files.report_document import (
    Block,
    ReportDocument,
    ReportMarkup,
    ReportSection,
    ReportTable,
    ReportText,
)
from deeplabstream.files.report_html import html_of
from deeplabstream.training.evaluation.error_kinds import KIND_COLUMNS, KINDS
from deeplabstream.training.evaluation.evaluate import Reliability
from deeplabstream.training.evaluation.point_errors import (
    ANIMALS,
    FIGURES,
    MEASURES,
    Evidence,
    VideoMeasures,
    animal_rows,
    figure_rows,
    kind_rows,
    video_rows,
)
from deeplabstream.training.evaluation.report_frames import LINES, frames, part_colour
from deeplabstream.training.evaluation.report_plots import (
    Series,
    cumulative,
    plot,
    running_median,
)

_ORDERS = (
    '<option value="error">largest error first</option>'
    '<option value="confidence">lowest confidence first</option>'
    '<option value="name">by name</option>'
)
_ANIMALS_FIRST = '<option value="animals">missed and false animals first</option>'
_FORM = """\
<form>
<label>set <select id="set"><option value="">every</option>{sets}</select></label>
<label>body part <select id="part"><option value="">every</option>{parts}</select></label>
<label>kind of error
<select id="kind"><option value="">every</option>{kinds}</select></label>
<label>confidence from
<input id="low" type="number" min="0" max="1" step="0.05" value="0"></label>
<label>to <input id="high" type="number" min="0" max="1" step="0.05" value="1"></label>
<label>order <select id="order">{orders}</select></label>
<span id="count"></span>
</form>"""


def write_page(
    file: Path,
    title: str,
    evidence: Evidence,
    videos: Sequence[VideoMeasures] = (),
    within: float = 5.0,
    warning: str = "",
) -> None:
    """Write the report; points within `within` px are correct (PCK); `warning` concerns all errors.

    LabelsError names an image that can't be read any more.
    """
    sure = evidence.reliability(within)
    summary = _summary(evidence, sure, within) + (f" {warning}." if warning else "")
    plots = "\n".join([*_plots(evidence, sure, within), *_video_plots(videos)])
    sections = [
        ReportSection(
            "Plots",
            [
                ReportText(
                    "Few values lie beyond the axes; they are drawn at the edge."
                ),
                ReportMarkup(f'<div class="plots">\n{plots}\n</div>'),
            ],
        ),
        *_animals(evidence),
        *_kinds(evidence),
        ReportSection(
            "Figures",
            [
                ReportText("A click on a heading sorts."),
                _table(evidence, videos, within),
            ],
        ),
        ReportSection("Frames, the worst first", list(_frames(evidence))),
    ]
    folder = Path(__file__).parent
    page = html_of(
        ReportDocument(title, summary, sections=sections),
        style=(folder / "report_page.css").read_text("utf-8"),
        script=(folder / "report_page.js").read_text("utf-8"),
    )
    file.write_text(page, encoding="utf-8")


def _summary(evidence: Evidence, sure: Reliability, within: float) -> str:
    sets = ", ".join(
        f"{evidence.sets.count(name)} {name}" for name in evidence.set_names()
    )
    which = (
        "; the training set is unknown"
        if "all" in evidence.sets
        else " of images not trained on"
    )
    return (
        f"{counted(len(evidence.names), 'image')} ({sets}), "
        f"{counted(len(evidence.bodyparts), 'body part')}. "
        f"“within” is the share of labelled points within {within:g} px (PCK). Expected "
        f"calibration error of the confidence {sure.error():.3f}, over "
        f"{int(sure.points.sum())} points{which}. A point is correct within "
        f"{sure.radius_px:g} px of its label."
        + (
            ""
            if evidence.raw is None
            else " Before it was calibrated, on such images, the error was "
            f"{evidence.reliability(within, raw=True).error():.3f}."
        )
    )


def _plots(evidence: Evidence, sure: Reliability, within: float) -> Iterator[str]:
    error = evidence.measures["error_px"]
    finite = error[np.isfinite(error)]
    most = max(1.0, float(np.percentile(finite, 98))) if finite.size else 1.0
    sets = [(name, evidence.of_set(name)) for name in evidence.set_names()]
    yield plot(
        "PCK: points within a distance", "distance to the label, px", "share",
        [cumulative(name, error[own], most) for name, own in sets], most, 1.0,
    )  # fmt: skip
    before = evidence.reliability(within, raw=True)
    calibrated = evidence.raw is not None
    yield plot(
        "Reliability of the confidence", "confidence", "share of correct points",
        [
            Series("calibrated", np.array([0.0, 1.0]), np.array([0.0, 1.0])),
            *(
                [Series("before calibration", before.confidence, before.right)]
                if calibrated
                else []
            ),
            Series("the network", sure.confidence, sure.right),
        ],
        1.0, 1.0,
    )  # fmt: skip
    yield plot(
        "Error against confidence", "confidence", "distance to the label, px",
        [
            Series(name, evidence.confidence[own].ravel(), error[own].ravel(), False)
            for name, own in sets
        ],
        1.0, most,
    )  # fmt: skip
    for name, values in evidence.measures.items():
        if name == "error_px":
            continue
        clouds = [
            Series(label, values[own].ravel(), error[own].ravel(), False)
            for label, own in sets
        ]
        middle = running_median("median", values.ravel(), error.ravel())
        known = values[np.isfinite(values)]
        end = float(np.percentile(known, 98)) if known.size else None
        measure = MEASURES[name]
        yield plot(
            f"Error against {measure}", f"{measure}, px", "distance to the label, px",
            [*clouds, middle], end or None, most,
        )  # fmt: skip


def _video_plots(videos: Sequence[VideoMeasures]) -> Iterator[str]:
    for video in videos:
        for name, values in video.measures.items():
            known = values[np.isfinite(values)]
            most = max(1.0, float(np.percentile(known, 99))) if known.size else 1.0
            curves = [
                cumulative(part, column, most)
                for part, column in zip(video.bodyparts, values.T, strict=True)
                if np.isfinite(column).any()
            ]
            measure = MEASURES[name]
            yield plot(
                f"{video.name}: {measure}", f"{measure}, px", "share", curves, most, 1
            )


def _table(
    evidence: Evidence, videos: Sequence[VideoMeasures], within: float
) -> ReportTable:
    rows = list(figure_rows(evidence, within))
    for video in videos:
        rows += video_rows(video, within)
    return ReportTable(
        ("set", "body part", "measure", "points", *FIGURES[1:]),
        [
            [_short(c) for c in (*row[:2], MEASURES[str(row[2])], *row[3:])]
            for row in rows
        ],
        [at for at, row in enumerate(rows) if row[1] == "together"],
    )


def _animals(evidence: Evidence) -> Iterator[ReportSection]:
    """Yield how many animals were found, where there are several."""
    if evidence.counted is None:
        return
    rows = [[_short(cell) for cell in row] for row in animal_rows(evidence)]
    text = (
        "Recall: share of the labelled animals (with two body parts or more) that were "
        "found; precision: share of the found animals that are labelled. All other figures "
        "apply to found animals."
    )
    yield ReportSection(
        "Animals", [ReportText(text), ReportTable(("set", *ANIMALS), rows)]
    )


def _kinds(evidence: Evidence) -> Iterator[ReportSection]:
    """Yield which kinds of error make the squared error."""
    if evidence.kinds is None:
        return
    rows = [
        [KINDS[str(kind)], *(_short(cell) for cell in cells)]
        for kind, *cells in kind_rows(evidence)
    ]
    text = (
        "Labelled points of images not trained on. Near is within "
        f"{evidence.kinds.near_px:.1f} px. Share of all points, share of the squared error, "
        "and points at or above the threshold (asserted). Below, frames can be chosen by "
        "their kinds of error."
    )
    yield ReportSection(
        "Kinds of error",
        [ReportText(text), ReportTable(KIND_COLUMNS, rows)],
    )


def _frames(evidence: Evidence) -> Iterator[Block]:
    """Yield the form that selects frames, the key of the colours, and the frames."""
    several = evidence.counted is not None
    key = " ".join(
        f'<span style="color:{part_colour(place)}">&#9679;&nbsp;{escape(part)}</span>'
        for place, part in enumerate(evidence.bodyparts)
    )
    yield ReportMarkup(
        _FORM.format(
            sets=_options(evidence.set_names()),
            parts=_options(evidence.bodyparts),
            kinds=_options(KINDS),
            orders=_ANIMALS_FIRST + _ORDERS if several else _ORDERS,
        )
    )
    yield ReportText(
        "Dot: found by the network. Cross: label. Points outside of the choice are not "
        f"drawn; a click on an image enlarges it.{LINES if several else ''}"
    )
    yield ReportMarkup(f'<div class="key">{key}</div>')
    yield ReportMarkup("\n".join(['<div class="frames">', *frames(evidence), "</div>"]))


def _options(names: Iterable[str]) -> str:
    return "".join(f"<option>{escape(name)}</option>" for name in names)


def _short(cell: object) -> str:
    if isinstance(cell, float):
        return "–" if np.isnan(cell) else f"{cell:.2f}"
    return str(cell)
