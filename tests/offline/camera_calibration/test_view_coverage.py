from dataclasses import replace

import numpy as np
import pytest

from deeplabstream.offline.camera_calibration.board_views import (
    COVERAGE_GRID,
    BoardViews,
)
from deeplabstream.offline.camera_calibration.calibration_verdict import (
    LEAST_VIEWS,
    lens_refusals,
    refusals,
)
from deeplabstream.offline.camera_calibration.view_coverage import (
    bare_regions,
    connected_groups,
    coverage_facts,
    coverage_lines,
    coverage_share,
    needed_pair,
)
from tests.offline.camera_calibration.boards import views_of
from tests.space.cameras import four_cameras


def hidden(views: BoardViews, camera: int, moments: slice) -> BoardViews:
    pixels = views.pixels.copy()
    pixels[camera, moments] = np.nan
    return replace(views, pixels=pixels)


def right_half_only(views: BoardViews, camera: int) -> BoardViews:
    pixels = views.pixels.copy()
    pixels[camera, pixels[camera, ..., 0] < 320] = np.nan
    return replace(views, pixels=pixels)


def test_a_cell_is_covered_where_a_corner_was_found() -> None:
    views = views_of(four_cameras(), 1)
    pixels = np.full_like(views.pixels, np.nan)
    pixels[0, 0, :] = (1.0, 1.0)
    pixels[1, 0, :] = (639.9, 479.9)
    covered = replace(views, pixels=pixels).covered
    assert covered.shape == (4, *COVERAGE_GRID)
    assert np.argwhere(covered).tolist() == [[0, 0, 0], [1, 5, 8]]


def test_corners_all_over_the_image_leave_no_region_bare() -> None:
    views = views_of(four_cameras(), 200)
    assert (coverage_share(views) > 0.7).all()
    assert not any(bare_regions(own) for own in views.covered)


def test_regions_without_corners_are_named() -> None:
    views = right_half_only(views_of(four_cameras(), 200), 1)
    assert bare_regions(views.covered[1]) == ["upper left", "left", "lower left"]
    facts = coverage_facts(views)
    cameras = facts["cameras"]
    assert isinstance(cameras, dict)
    assert cameras["right"]["needs_views"] == ["upper left", "left", "lower left"]
    assert cameras["right"]["covered_share"] == pytest.approx(
        float(views.covered[1].mean()), abs=0.001
    )
    lines = "\n".join(coverage_lines(views))
    assert "few: upper left, left, lower left of its image" in lines
    assert "left and right" in lines


def test_cameras_are_connected_through_others() -> None:
    views = views_of(four_cameras(), 90)
    first = hidden(views, 0, slice(45, 90))
    chain = hidden(first, 1, slice(0, 45))
    assert chain.shared[0, 1] == 0
    assert connected_groups(chain, LEAST_VIEWS) == [{0, 1, 2, 3}]
    assert needed_pair(chain, LEAST_VIEWS) is None
    assert refusals(chain) == []


def test_the_pair_that_needs_shared_views_is_named_with_their_number() -> None:
    views = views_of(four_cameras(), 90)
    for camera in (0, 1):
        views = hidden(views, camera, slice(45, 90))
    for camera in (2, 3):
        views = hidden(views, camera, slice(0, 42))
    assert connected_groups(views, LEAST_VIEWS) == [{0, 1}, {2, 3}]
    (reason,) = refusals(views)
    assert "too few common views" in reason
    assert "moment" in reason
    assert f"{LEAST_VIEWS} are needed; no other pair connects" in reason


def test_a_lens_that_is_not_determined_is_refused_with_the_bare_regions() -> None:
    views = views_of(four_cameras(), 60, 0.3)
    pixels = np.repeat(views.pixels[:, :1], 60, axis=1)
    noise = np.random.default_rng(0).normal(0, 0.3, pixels.shape)
    reasons = lens_refusals(replace(views, pixels=pixels + noise))
    assert any("of its image; or give its lens" in reason for reason in reasons)
