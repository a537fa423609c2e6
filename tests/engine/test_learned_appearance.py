"""A learned appearance in the settings of a rig: used, off, or refused with the reason."""

from pathlib import Path

import pytest

from deeplabstream.core.errors import SettingsError
from deeplabstream.core.frame import Frame
from deeplabstream.core.pose import Skeleton, Thresholds
from deeplabstream.engine.checks.settings_check import rig_problems
from deeplabstream.engine.identity_reporting import (
    CameraIdentityTrackers,
    IdentityState,
    identities_of,
)
from deeplabstream.engine.learned_appearance import open_appearance
from deeplabstream.pose.tracking.embedding_evidence import EmbeddingEvidence
from deeplabstream.pose.tracking.identity_tracker import IdentitySettings
from deeplabstream.settings.loading import parse
from deeplabstream.settings.sections import Settings
from tests.pose.appearance import ALIKE, GOOD, folder_of
from tests.pose.crowd import flies

SKELETON = Skeleton(("snout", "tailbase"), animals=("anna", "bob"))


def rig(folder: Path, *lines: str, names: str = "anna, bob") -> Settings:
    text = f"""
[Pose Estimation]
MODEL = stand-in:0:2
[Camera top]
KIND = SimulatedCamera
[Animals]
NAMES = {names}
"""
    return parse(text + "\n".join(lines), folder)


def test_a_good_appearance_is_evidence(tmp_path: Path) -> None:
    folder_of(tmp_path / "models/cage7", GOOD)
    settings = rig(tmp_path, "APPEARANCE = cage7")
    assert rig_problems(settings) == []
    opened = open_appearance(settings, SKELETON)
    assert opened.remark == ""
    assert opened.new_evidence is not None
    evidence = opened.new_evidence()
    assert isinstance(evidence, EmbeddingEvidence)
    assert opened.new_evidence() is not evidence


def test_an_appearance_below_its_limits_is_off_and_that_is_said(tmp_path: Path) -> None:
    folder_of(tmp_path / "cage7", ALIKE)
    settings = rig(tmp_path, f"APPEARANCE = {(tmp_path / 'cage7').as_posix()}")
    assert rig_problems(settings) == []
    opened = open_appearance(settings, SKELETON)
    assert opened.new_evidence is None
    assert "[Animals] APPEARANCE is off: rank-1 accuracy is 0.260" in opened.remark

    found = flies(3)
    skeleton = Skeleton(found.skeleton.bodyparts, found.skeleton.edges, ("anna", "bob"))
    trackers = CameraIdentityTrackers(
        skeleton, Thresholds(0.5), IdentitySettings(), appearance=opened
    )
    for index, (time_s, image, raw, _) in enumerate(found.frames(3)):
        at_ns = int(time_s * 1e9)
        pose = trackers.update(Frame("top", index, at_ns, at_ns, image), raw)
    known = trackers.distinctness()["top"]
    assert known.remark == opened.remark
    assert opened.remark in IdentityState(pose, {}, known).appearance


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("APPEARANCE = none", "APPEARANCE: .*is not a learned appearance"),
        ("APPEARANCE = fish", "APPEARANCE: no body axis from mouth and fin"),
    ],
)
def test_an_appearance_that_does_not_fit_is_a_problem_of_the_settings(
    tmp_path: Path, line: str, problem: str
) -> None:
    folder_of(tmp_path / "models/fish", axis=("mouth", "fin"))
    with pytest.raises(SettingsError, match=problem):
        identities_of(rig(tmp_path, line), SKELETON, Thresholds(0.5))


def test_without_an_appearance_colours_alone_are_evidence(tmp_path: Path) -> None:
    opened = open_appearance(rig(tmp_path), SKELETON)
    assert opened.new_evidence is None
    assert opened.remark == ""
