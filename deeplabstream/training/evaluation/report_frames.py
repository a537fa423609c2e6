"""Images of a report, with found and labelled points, as SVG."""

import base64
from collections.abc import Iterator
from html import escape
from pathlib import Path

import numpy as np

from deeplabstream.pose.image_files import read_image
from deeplabstream.training.data.labels import LabelsError
from deeplabstream.training.evaluation.animal_matching import LEAST_PARTS
from deeplabstream.training.evaluation.error_kinds import KINDS
from deeplabstream.training.evaluation.point_errors import MEASURES, Evidence

LONGEST = 480
"""Longest side of an embedded image, px."""
QUALITY = 75
FOUND, MISSED, WRONG = "#fff", "#ff3b30", "#ffd60a"
LINES = (
    " White lines join an animal that is there; yellow ones join points that are no labelled "
    "animal's; red dashed ones join the labels of an animal that was missed."
)


def frames(evidence: Evidence) -> Iterator[str]:
    """Yield each image with its points and labels, the worst one first.

    First those where most animals are missed or wrong, then those where a point is
    farthest off.
    """
    error = evidence.measures["error_px"]
    worst = np.where(np.isfinite(error), error, -1).max(axis=1)
    worst = worst.reshape(-1, evidence.animals).max(axis=1)
    amiss = np.zeros(len(worst), np.intp)
    if (counted := evidence.counted) is not None:
        amiss += counted.labelled + counted.predicted - 2 * counted.found
    for image in np.lexsort((-worst, -amiss)).tolist():
        yield _frame(evidence, image)


def _frame(evidence: Evidence, image: int) -> str:
    height, width, content = _embedded(evidence.images[image])
    size, marks = max(height, width), []
    for animal in range(evidence.animals):
        row = image * evidence.animals + animal
        if evidence.counted is not None:
            marks.append(_lines(evidence, row, size))
        for place, part in enumerate(evidence.bodyparts):
            marks.append(_mark(evidence, row, place, part, size))
    name, of_set = evidence.names[image], evidence.sets[image]
    amiss = ""
    if (counted := evidence.counted) is not None:
        missed = int(counted.labelled[image] - counted.found[image])
        wrong = int(counted.predicted[image] - counted.found[image])
        amiss = f' data-missed="{missed}" data-wrong="{wrong}"'
    return (
        f'<figure data-set="{escape(of_set)}" data-name="{escape(name)}"{amiss}>'
        f'<svg viewBox="0 0 {width} {height}"><image width="{width}" height="{height}" '
        f'href="data:image/jpeg;base64,{content}"/>{"".join(marks)}</svg>'
        f"<figcaption>{escape(name)} · {escape(of_set)} <b></b></figcaption>"
        "</figure>"
    )


def _lines(evidence: Evidence, row: int, size: int) -> str:
    """Return the edges of one animal, as found or, where it was missed, as labelled."""
    points, labels = evidence.points[row] + 0.5, evidence.labels[row] + 0.5
    visible = np.isfinite(points).all(axis=1)
    labelled = np.isfinite(labels).all(axis=1)
    colour, dashed = (FOUND, "") if (visible & labelled).any() else (WRONG, "")
    if not visible.any():
        if labelled.sum() < LEAST_PARTS:
            return ""
        step = size / 60
        points, visible = labels, labelled
        colour, dashed = MISSED, f' stroke-dasharray="{step:.2f} {step / 2:.2f}"'
    edges = [(a, b) for a, b in evidence.edges if visible[a] and visible[b]]
    ends = [points[[a, b]].ravel() for a, b in edges]
    way = "".join(f"M{a:.2f} {b:.2f}L{c:.2f} {d:.2f}" for a, b, c, d in ends)
    width = size / 300
    return f'<path d="{way}" stroke="{colour}" stroke-width="{width:.2f}"{dashed}/>'


def _mark(evidence: Evidence, row: int, place: int, part: str, size: int) -> str:
    ends = evidence.points[row, place] + 0.5, evidence.labels[row, place] + 0.5
    if evidence.animals > 1 and not np.isfinite(ends).any():
        return ""
    (x, y), (to_x, to_y) = (end.tolist() for end in ends)
    error = float(evidence.measures["error_px"][row, place])
    sure = float(np.clip(evidence.confidence[row, place], 0, 1))
    radius, colour = size / 130, part_colour(place)
    lines = [f"{part}: confidence {sure:.2f}"]
    for name, values in evidence.measures.items():
        if np.isfinite(values[row, place]):
            lines.append(f"{MEASURES[name]} {values[row, place]:.1f} px")
    kind = "" if evidence.kinds is None else evidence.kinds.name(row, place)
    if kind:
        lines.append(KINDS[kind] + _other_part(evidence, row, place))

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
        f'data-error="{known}" data-kind="{kind}"><title>{escape(", ".join(lines))}</title>'
        f"{''.join(shapes)}</g>"
    )


def _other_part(evidence: Evidence, row: int, place: int) -> str:
    """Return the body part at whose label a point lies, in brackets, or nothing."""
    at = -1 if evidence.kinds is None else int(evidence.kinds.at[row, place])
    return f" ({evidence.bodyparts[at]})" if at >= 0 else ""


def _embedded(file: Path) -> tuple[int, int, str]:
    """Return height and width of an image, and a smaller JPEG of it in base64."""
    import cv2

    image = read_image(file)
    if image is None:
        raise LabelsError([f"the image {file} can't be read"])
    height, width = image.shape[:2]
    scale = LONGEST / max(height, width)
    small = image
    if scale < 1:
        size = max(1, round(width * scale)), max(1, round(height * scale))
        small = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA))
    _, content = cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
    return height, width, base64.b64encode(content.tobytes()).decode("ascii")


def part_colour(place: int) -> str:
    """Return the colour of a body part: bright, and different from its neighbours'."""
    return f"hsl({place * 137.5 % 360:.0f} 95% 60%)"
