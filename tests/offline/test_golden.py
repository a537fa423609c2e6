"""Bundled networks see what the golden file says; it belongs to one MAJOR.MINOR.

A network that sees other points changes users' experiments: that is a new minor version.
tests/test_golden_runs.py compares what experiments decide.
`python tests/offline/golden.py` makes the golden file anew; it is to be committed with
the version it belongs to.
"""

import json
import tomllib
from pathlib import Path

import numpy as np
import pytest

from deeplabstream.offline.prediction import predict
from deeplabstream.pose.model.model_opening import MODELS, open_estimator
from tests.offline.golden import GOLDEN, networks, release, scene

ROOT = Path(__file__).resolve().parents[2]


def told() -> dict[str, object]:
    return dict(json.loads(GOLDEN.read_text("utf-8")))


def test_the_golden_file_is_of_this_version() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert told()["release"] == release(project["version"]), (
        "a new version: run tests/offline/golden.py"
    )


@pytest.mark.parametrize("name", networks())
def test_networks_see_what_they_saw(name: str, tmp_path: Path) -> None:
    golden = dict(told()["poses"])  # type: ignore[call-overload]
    assert name in golden, "a network without golden poses: run tests/offline/golden.py"
    film = scene(tmp_path / "scene.mkv")
    found = predict(film, open_estimator(MODELS / name, "cpu", 1), name).table
    points, sure = (
        np.array(golden[name]["points"]),
        np.array(golden[name]["confidence"]),
    )
    np.testing.assert_allclose(found.confidence, sure, atol=0.02)
    seen = sure > 0.3
    np.testing.assert_allclose(found.points[seen], points[seen], atol=0.1)
