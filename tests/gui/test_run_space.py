from pathlib import Path

import numpy as np
import pytest
from pytestqt.qtbot import QtBot

from deeplabstream.gui.run_space import RunSpace, UnreadableSpace, read_run_space
from deeplabstream.gui.space_scene import scene_of
from deeplabstream.gui.widgets.run_view import RunView
from deeplabstream.recording.run_review import review
from deeplabstream.settings.loading import load
from tests.gui.fake_session import SKELETON
from tests.gui.test_space_view import POINTS, REARING, ROOT
from tests.recording.small_run import made


@pytest.fixture(scope="module")
def space() -> RunSpace:
    scene = scene_of(load(REARING))
    assert scene is not None
    t = np.arange(100) / 30
    points = np.repeat(POINTS[None].astype(np.float64), 100, axis=0)
    points[:, :, 0] += np.arange(100)[:, None]
    return RunSpace(ROOT, scene, SKELETON, t, points)


def test_a_frame_of_a_run_has_the_moment_within_half_a_period(space: RunSpace) -> None:
    found = space.moment_at(1.01, {"rearing": True})
    assert found is not None
    assert found.points[0, 0] == 30
    assert found.answers == {"rearing": True}
    assert space.moment_at(3.4, {}) is None


def test_the_trail_of_a_moment_ends_with_it_and_is_short(space: RunSpace) -> None:
    found = space.moment_at(3.0, {})
    assert found is not None
    assert found.trail[-1] == pytest.approx((110, 0, 40))
    assert 40 <= len(found.trail) <= 48
    assert found.trail[0][0] >= 110 - 46


def test_a_run_without_moments_shows_none_and_one_with_them_shows_them(
    qtbot: QtBot, space: RunSpace
) -> None:
    view = RunView()
    qtbot.addWidget(view)
    assert view.space is None
    view._show_space(space)
    assert view.space is not None
    assert view.space.parent() is view
    view.clear("Choose a run")
    assert view.space is None


def test_a_run_whose_calibration_cannot_be_read_says_why(
    qtbot: QtBot, tmp_path: Path
) -> None:
    run = made(tmp_path / "run")
    assert read_run_space(review(run)) is None
    text = REARING.read_text("utf-8").replace("calibration.toml", "gone.toml")
    (run / "settings.ini").write_text(text, "utf-8")
    (run / "space.moments.csv").write_text("t\n", "utf-8")
    found = read_run_space(review(run))
    assert isinstance(found, UnreadableSpace)
    assert "gone.toml" in found.reason

    view = RunView()
    qtbot.addWidget(view)
    view._show_space(found)
    assert view.space is None
    assert not view.space_problem.isHidden()
    assert view.space_problem.text().startswith("The points in space can't be shown:")
    view.clear("Choose a run")
    assert view.space_problem.isHidden()
