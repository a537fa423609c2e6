"""One HTML file that shows how a network fares; it needs no other file and no network."""

import base64
from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path

import numpy as np

from training.dataset import read_picture
from training.evaluate import Reliability
from training.labels import LabelsError
from training.report import (
    FIGURES,
    MEASURES,
    Evidence,
    Film,
    figure_rows,
    film_rows,
)
from training.report_plots import Series, cumulative, plot, running_median

LONGEST = 480
"""px of an embedded picture's longer side, at most."""
QUALITY = 75
TEMPLATE = Path(__file__).with_name("report_page.html")


def write_page(
    file: Path,
    title: str,
    evidence: Evidence,
    films: Sequence[Film] = (),
    within: float = 5.0,
) -> None:
    """Write the report; `within` px count as right (PCK).

    LabelsError names a picture that can't be read any more.
    """
    sure = evidence.reliability(within)
    told = {
        "title": escape(title),
        "summary": _summary(evidence, sure, within),
        "plots": "\n".join([*_plots(evidence, sure, within), *_film_plots(films)]),
        "table": _table(evidence, films, within),
        "sets": _options(evidence.set_names()),
        "parts": _options(evidence.bodyparts),
        "key": " ".join(
            f'<span style="color:{_colour(place)}">&#9679;&nbsp;{escape(part)}</span>'
            for place, part in enumerate(evidence.bodyparts)
        ),
        "frames": "\n".join(_frames(evidence)),
    }
    page = TEMPLATE.read_text(encoding="utf-8")
    for name, text in told.items():
        page = page.replace("{{" + name + "}}", text)
    file.write_text(page, encoding="utf-8")


def _summary(evidence: Evidence, sure: Reliability, within: float) -> str:
    sets = ", ".join(
        f"{int(evidence.of_set(name).sum())} {name}" for name in evidence.set_names()
    )
    which = (
        "; which of them were trained on is not known"
        if "all" in evidence.sets
        else " of pictures not trained on"
    )
    return escape(
        f"{len(evidence.names)} pictures ({sets}), {len(evidence.bodyparts)} body parts. "
        f"“within” is the share of labelled points within {within:g} px (PCK). Expected "
        f"calibration error of the confidence {sure.error():.3f}, over "
        f"{int(sure.points.sum())} points{which}. There a point is right within "
        f"{sure.radius_px:g} px of its label."
        + (
            ""
            if evidence.raw is None
            else " Before it was calibrated, on such pictures, the error was "
            f"{evidence.reliability(within, raw=True).error():.3f}."
        )
    )


def _plots(evidence: Evidence, sure: Reliability, within: float) -> Iterator[str]:
    error = evidence.measures["error_px"]
    there = error[np.isfinite(error)]
    most = max(1.0, float(np.percentile(there, 98))) if there.size else 1.0
    sets = [(name, evidence.of_set(name)) for name in evidence.set_names()]
    yield plot(
        "PCK: points within a distance", "distance to the label, px", "share",
        [cumulative(name, error[own], most) for name, own in sets], most, 1.0,
    )  # fmt: skip
    before = evidence.reliability(within, raw=True)
    calibrated = evidence.raw is not None
    yield plot(
        "Reliability of the confidence", "confidence", "share that was right",
        [
            Series("as good as said", np.array([0.0, 1.0]), np.array([0.0, 1.0])),
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
        words = MEASURES[name]
        yield plot(
            f"Error against {words}", f"{words}, px", "distance to the label, px",
            [*clouds, middle], end or None, most,
        )  # fmt: skip


def _film_plots(films: Sequence[Film]) -> Iterator[str]:
    for film in films:
        for name, values in film.measures.items():
            known = values[np.isfinite(values)]
            most = max(1.0, float(np.percentile(known, 99))) if known.size else 1.0
            curves = [
                cumulative(part, column, most)
                for part, column in zip(film.bodyparts, values.T, strict=True)
                if np.isfinite(column).any()
            ]
            words = MEASURES[name]
            yield plot(
                f"{film.name}: {words}", f"{words}, px", "share", curves, most, 1
            )


def _table(evidence: Evidence, films: Sequence[Film], within: float) -> str:
    heads = ("set", "body part", "measure", "points", *FIGURES[1:])
    rows = list(figure_rows(evidence, within))
    for film in films:
        rows += film_rows(film, within)
    lines = ["<tr>" + "".join(f"<th>{escape(head)}</th>" for head in heads) + "</tr>"]
    for row in rows:
        cells = [*row[:2], MEASURES[str(row[2])], *row[3:]]
        kind = ' class="all"' if row[1] == "together" else ""
        lines.append(
            f"<tr{kind}>"
            + "".join(f"<td>{escape(_short(cell))}</td>" for cell in cells)
            + "</tr>"
        )
    return "\n".join(lines)


def _frames(evidence: Evidence) -> Iterator[str]:
    """Yield each picture with its points and labels, the worst point's picture first."""
    error = evidence.measures["error_px"]
    worst = np.where(np.isfinite(error), error, -1).max(axis=1)
    for row in np.argsort(-worst, kind="stable").tolist():
        yield _frame(evidence, row)


def _frame(evidence: Evidence, row: int) -> str:
    height, width, picture = _embedded(evidence.images[row])
    size = max(height, width)
    marks = []
    for place, part in enumerate(evidence.bodyparts):
        marks.append(_mark(evidence, row, place, part, size))
    name = evidence.names[row]
    return (
        f'<figure data-set="{escape(evidence.sets[row])}" data-name="{escape(name)}">'
        f'<svg viewBox="0 0 {width} {height}"><image width="{width}" height="{height}" '
        f'href="data:image/jpeg;base64,{picture}"/>{"".join(marks)}</svg>'
        f"<figcaption>{escape(name)} · {escape(evidence.sets[row])} <b></b></figcaption>"
        "</figure>"
    )


def _mark(evidence: Evidence, row: int, place: int, part: str, size: int) -> str:
    x, y = (evidence.points[row, place] + 0.5).tolist()
    to_x, to_y = (evidence.labels[row, place] + 0.5).tolist()
    error = float(evidence.measures["error_px"][row, place])
    sure = float(np.clip(evidence.confidence[row, place], 0, 1))
    radius, colour = size / 130, _colour(place)
    told = [f"{part}: confidence {sure:.2f}"]
    for name, values in evidence.measures.items():
        if np.isfinite(values[row, place]):
            told.append(f"{MEASURES[name]} {values[row, place]:.1f} px")
    shapes = []
    if np.isfinite([x, y]).all():
        shapes.append(
            f'<circle cx="{x:.2f}" cy="{y:.2f}" r="{radius:.2f}" fill="{colour}"/>'
        )
    if np.isfinite([to_x, to_y]).all():
        shapes.append(
            f'<path d="M{to_x - radius:.2f} {to_y:.2f}h{2 * radius:.2f}'
            f"M{to_x:.2f} {to_y - radius:.2f}v{2 * radius:.2f}"
            + (f"M{to_x:.2f} {to_y:.2f}L{x:.2f} {y:.2f}" if len(shapes) else "")
            + f'" stroke="{colour}" stroke-width="{radius / 2:.2f}"/>'
        )
    known = f"{error:.3f}" if np.isfinite(error) else ""
    return (
        f'<g data-part="{escape(part)}" data-confidence="{sure:.4f}" '
        f'data-error="{known}"><title>{escape(", ".join(told))}</title>'
        f"{''.join(shapes)}</g>"
    )


def _embedded(file: Path) -> tuple[int, int, str]:
    """Return height and width of a picture, and a smaller JPEG of it in base64."""
    import cv2

    picture = read_picture(file)
    if picture is None:
        raise LabelsError([f"the picture {file} can't be read"])
    height, width = picture.shape[:2]
    scale = LONGEST / max(height, width)
    small = picture
    if scale < 1:
        size = max(1, round(width * scale)), max(1, round(height * scale))
        small = np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA))
    _, content = cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
    return height, width, base64.b64encode(content.tobytes()).decode("ascii")


def _options(words: Sequence[str]) -> str:
    return "".join(f"<option>{escape(word)}</option>" for word in words)


def _colour(place: int) -> str:
    """Return the colour of a body part: bright, and far from its neighbours'."""
    return f"hsl({place * 137.5 % 360:.0f} 95% 60%)"


def _short(cell: object) -> str:
    if isinstance(cell, float):
        return "–" if np.isnan(cell) else f"{cell:.2f}"
    return str(cell)
