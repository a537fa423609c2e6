import numpy as np
import pytest

from deeplabstream.training.evaluation.error_kinds import KINDS, ErrorKinds, error_kinds

LABELS = np.array([[[0, 0], [100, 0], [0, 100], [np.nan, np.nan]]], np.float32)
"""One animal of length 141 px, so that 14 px is near; its last body part has no label."""
SURE = np.full((1, 4), 0.9)


def kinds_of(
    points: object, sure: object = SURE, spread: object = None, **more: object
) -> tuple[list[str], ErrorKinds]:
    found = np.array([points], np.float32)
    spread_px = None if spread is None else np.array([spread], np.float32)
    kinds = error_kinds(
        found, LABELS, np.asarray(sure), 0.5, spread_px=spread_px, **more
    )  # type: ignore[arg-type]
    return [kinds.name(0, part) for part in range(4)], kinds


def test_each_labelled_point_has_the_kind_of_its_place() -> None:
    names, kinds = kinds_of([[3, 4], [1, 99], [300, 300], [50, 50]])
    assert names == ["jitter", "inversion", "far", ""]
    assert kinds.at.tolist() == [[-1, 2, -1, -1]]
    assert kinds.near_px == pytest.approx(14.14, abs=0.01)


def test_a_far_point_below_the_threshold_or_not_found_is_missed() -> None:
    sure = [[0.1, 0.9, 0.1, 0.9]]
    names, kinds = kinds_of([[3, 4], [np.nan] * 2, [300, 300], [0, 0]], sure)
    assert names == ["jitter", "missed", "missed", ""]
    assert kinds.asserted.tolist() == [[False, False, False, True]]


def test_networks_that_agree_far_from_the_label_make_it_suspicious() -> None:
    points = [[200, 200], [2, 98], [300, 300], [0, 0]]
    names, kinds = kinds_of(points, spread=[2, 2, 40, 1])
    assert names == ["label", "label", "far", ""]
    assert kinds.at[0, 1] == 2, "the label at which the point lies is still named"


def test_body_parts_of_two_views_are_not_inverted() -> None:
    points = [[99, 1], [1, 99], [99, 1], [0, 0]]
    names, _ = kinds_of(points, views=[(0, 1), (2, 3)])
    assert names == ["inversion", "far", "far", ""]


def test_shares_are_of_the_chosen_rows_and_add_up_to_all() -> None:
    away = np.array([[6, 8], [300, 400], [1, 1]], np.float32)
    points = LABELS + away[:, None]
    labels = np.repeat(LABELS, 3, axis=0)
    kinds = error_kinds(points, labels, np.full((3, 4), 0.9), 0.5)
    error = np.linalg.norm(points - labels, axis=2)
    rows = {row[0]: row[1:] for row in kinds.rows(error, np.array([True, True, False]))}
    assert tuple(rows) == tuple(KINDS)
    assert rows["jitter"] == (3, 0.5, pytest.approx(300 / 750_300), 3)
    assert rows["far"] == (3, 0.5, pytest.approx(750_000 / 750_300), 3)
    assert rows["label"] == (0, 0.0, 0.0, 0)
