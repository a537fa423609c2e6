"""Bundled networks and golden runs belong to one MAJOR.MINOR of the version.

A network that finds other points, or an experiment that decides otherwise, changes users'
experiments. That needs a new minor version: raise it in pyproject.toml, then run
`python tests/offline/golden.py FILM` and commit the golden file.
tests/test_golden_runs.py compares the decisions themselves.
"""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from deeplabstream.offline.video_inference import predict
from deeplabstream.pose.model.model_opening import MODELS, open_estimator
from tests.offline.golden import (
    GOLDEN,
    facts,
    fingerprint,
    forbidden,
    networks,
    scene,
)


def told() -> dict[str, object]:
    return dict(json.loads(GOLDEN.read_text("utf-8")))


@pytest.mark.parametrize(
    ("fact", "sentence"),
    [
        ("release", "a new version: run tests/offline/golden.py"),
        ("networks", "a bundled network changed: raise MAJOR.MINOR, run golden.py"),
        (
            "decisions",
            "a golden run decides otherwise: raise MAJOR.MINOR, run golden.py",
        ),
    ],
)
def test_the_golden_file_is_of_this_version(fact: str, sentence: str) -> None:
    assert told()[fact] == facts()[fact], sentence


@pytest.mark.parametrize("part", ["network", "threshold", "stride", "about"])
def test_a_fingerprint_is_of_network_and_description(tmp_path: Path, part: str) -> None:
    model = shutil.copytree(MODELS / "arena", tmp_path / "arena")
    assert fingerprint(model) == told()["networks"]["arena"]  # type: ignore[index]
    file = model / "model.json"
    words = json.loads(file.read_text("utf-8"))
    if part == "network":
        content = bytearray((model / "network.onnx").read_bytes())
        content[len(content) // 2] ^= 1
        (model / "network.onnx").write_bytes(content)
    elif part == "stride":
        words["heatmaps"]["stride"] = 8
    else:
        words[part] = {} if part == "about" else 0.9
    file.write_text(json.dumps(words), "utf-8")
    changed = fingerprint(model) != told()["networks"]["arena"]  # type: ignore[index]
    assert changed == (part != "about")


def test_the_golden_file_is_not_written_anew_at_the_same_version() -> None:
    before = told()
    other = {**facts(), "networks": {"arena": "other"}}
    assert forbidden(before, facts()) == []
    assert forbidden(before, other) == ["networks"]
    assert forbidden(before, {**other, "release": "0.0"}) == []


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
