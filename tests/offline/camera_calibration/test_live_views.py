"""Views of a board counted live: at rest once, together, and what is still missing."""

import numpy as np

from deeplabstream.offline.camera_calibration.live_views import (
    ENOUGH,
    LiveViews,
    missing_lines,
    pair_lines,
)
from tests.offline.camera_calibration.boards import BOARD, SIZE, views_of
from tests.space.cameras import four_cameras

CAMERAS = four_cameras().select(["left", "right"])
SIZES = dict.fromkeys(CAMERAS.names, SIZE)


def test_a_board_at_rest_counts_once_and_one_that_moves_again() -> None:
    live, moments = LiveViews(BOARD, CAMERAS.names), views_of(CAMERAS, 1)
    corners = dict(zip(CAMERAS.names, moments.pixels[:, 0], strict=True))
    assert live.add(corners, SIZES)
    nearly = {name: own + 1.0 for name, own in corners.items()}
    assert not live.add(nearly, SIZES)
    assert live.views.seen.sum() == 2
    moved = {name: own + 40.0 for name, own in corners.items()}
    assert live.add(moved, SIZES)
    assert pair_lines(live.views) == ["left and right: 2"]


def test_nothing_is_counted_without_a_board() -> None:
    live = LiveViews(BOARD, CAMERAS.names)
    nothing = np.full((BOARD.corners, 2), np.nan)
    assert not live.add({"left": nothing}, SIZES)
    lines = missing_lines(live.views)
    assert lines[0].startswith("Camera left: show the board in more places")
    assert f"(0 of {ENOUGH} moments)" in lines[-1]


def test_the_bare_corner_of_a_camera_is_named_until_it_is_covered() -> None:
    live = LiveViews(BOARD, ["left"])
    height, width = SIZE
    grid = np.stack(np.meshgrid(np.linspace(0, 0.3, 6), np.linspace(0, 0.3, 4)), -1)
    board = grid.reshape(-1, 2) * (width, height)
    places = [(x, y) for y in (0.02, 0.35, 0.68) for x in (0.02, 0.35, 0.68)]
    left_out = places.pop(2)
    for x, y in (places * 3)[: ENOUGH + 4]:
        live.add({"left": board + np.array((x * width, y * height))}, SIZES)
    expected = ["Camera left: show the board in the upper right corner"]
    assert missing_lines(live.views) == expected
    x, y = left_out
    live.add({"left": board + np.array((x * width, y * height))}, SIZES)
    assert missing_lines(live.views) == []
