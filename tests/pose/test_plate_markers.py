"""A plate found by its markers: rendered in perspective, with noise, blur and hidden markers."""

import numpy as np
import pytest

from deeplabstream.core.errors import DeepLabStreamError
from deeplabstream.pose.plate_markers import (
    corners_of_plate,
    find_markers,
    locate_plate,
    markers_in_order,
)
from tests.pose.plate_images import (
    DICTIONARY,
    LAID_OUT,
    NUMBERS,
    seen,
    shifted,
    wells,
)


def test_the_markers_of_a_plate_are_ordered_by_where_they_lie() -> None:
    found = find_markers(seen(LAID_OUT)[0], DICTIONARY)
    assert markers_in_order(found) == NUMBERS
    found.pop(7)
    with pytest.raises(
        DeepLabStreamError, match=r"in the image: 3, 5, 12; expected four"
    ):
        markers_in_order(found)
    with pytest.raises(
        DeepLabStreamError, match=r"not seen: 7 \(upper left\). All four"
    ):
        corners_of_plate(found, NUMBERS)


@pytest.mark.parametrize("hidden", [None, *NUMBERS])
@pytest.mark.parametrize("move", [(0, 0, 0), (35, -28, 3), (-60, 40, -8)])
def test_the_wells_of_a_moved_plate_are_found_within_a_pixel(
    hidden: int | None, move: tuple[float, float, float]
) -> None:
    image, before = seen(LAID_OUT)
    laid_out = corners_of_plate(find_markers(image, DICTIONARY), NUMBERS)
    # a moved plate lies at another place of the same perspective
    image, after = seen(shifted(*move), seed=1)
    found = find_markers(image, DICTIONARY)
    if hidden is not None:
        del found[hidden]
    place = locate_plate(found, NUMBERS, laid_out)
    away = np.hypot(*(place.place(wells(before)) - wells(after)).T)
    assert away.max() < 1.0
    assert place.turned_deg == pytest.approx(move[2], abs=0.3)
    assert place.hidden == (() if hidden is None else (hidden,))
    assert ("was not seen" in place.sentence) == (hidden is not None)


def refusal(corners: list[list[float]], without: tuple[int, ...] = ()) -> str:
    laid_out = corners_of_plate(find_markers(seen(LAID_OUT)[0], DICTIONARY), NUMBERS)
    found = find_markers(seen(corners)[0], DICTIONARY)
    for number in without:
        del found[number]
    with pytest.raises(DeepLabStreamError) as raised:
        locate_plate(found, NUMBERS, laid_out)
    return str(raised.value)


def test_a_plate_that_cannot_be_used_is_refused_with_the_reason() -> None:
    assert "not seen: 7 (upper left), 12 (lower right). At least 3" in refusal(
        LAID_OUT, (7, 12)
    )
    assert "turned by 14°, at most 10°" in refusal(shifted(0, 0, 14))
    upside_down = [LAID_OUT[2], LAID_OUT[3], LAID_OUT[0], LAID_OUT[1]]
    assert "turned by" in refusal(upside_down)
    middle = np.mean(LAID_OUT, axis=0)
    larger = ((np.array(LAID_OUT) - middle) * 1.08 + middle).tolist()
    assert "8% larger than before" in refusal(larger)


def test_a_marker_that_was_moved_on_the_plate_is_named() -> None:
    laid_out = corners_of_plate(find_markers(seen(LAID_OUT)[0], DICTIONARY), NUMBERS)
    found = find_markers(seen(LAID_OUT)[0], DICTIONARY)
    found[12] = found[12] + (25, 0)
    with pytest.raises(DeepLabStreamError, match=r"marker \d+ is .* px from where"):
        locate_plate(found, NUMBERS, laid_out)


def test_two_markers_of_one_number_are_refused() -> None:
    image, _ = seen(LAID_OUT)
    part = image[80:230, 170:320].copy()
    image[400:550, 600:750] = part
    with pytest.raises(DeepLabStreamError, match="marker 7 is in the image more than"):
        find_markers(image, DICTIONARY)


def test_an_unknown_set_of_markers_is_named() -> None:
    with pytest.raises(DeepLabStreamError, match="DICTIONARY = 9X9: no such set"):
        find_markers(np.zeros((10, 10), np.uint8), "9X9")
