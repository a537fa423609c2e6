"""A better setting is found on the recorded poses, and its figures are those of new clips."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from deeplabstream.audit.audit import open_audit
from deeplabstream.audit.setting_search import (
    TriggerSetting,
    answers_with,
    candidates_of,
    find_setting,
    halves,
)
from deeplabstream.core.errors import DeepLabStreamError
from deeplabstream.recording.run_folder import RunFolder
from deeplabstream.settings.loading import load
from tests.audit.scripted_run import Scene, judge, record, steps_of

SCENE = Scene(3, frames=3000, jitter=1.0, wrong_per_min=12)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return record(tmp_path_factory.mktemp("search") / "run", SCENE)


def test_the_present_setting_gives_the_recorded_answers(run: Path) -> None:
    folder = RunFolder(run)
    found = answers_with(
        load(run / "settings.ini"),
        folder,
        "in",
        "top",
        [TriggerSetting(0.5), TriggerSetting(0.95)],
    )
    recorded = [step.triggers["in"] is True for step in steps_of(run)]
    assert found.fired[0].tolist() == recorded
    assert 0 < found.fired[1].sum() < found.fired[0].sum()


def test_numbers_of_the_trigger_are_tried_and_what_limits_outputs_is_not(
    run: Path,
) -> None:
    settings = load(run / "settings.ini")
    tried = list(candidates_of(settings.triggers["in"], 0.5))
    assert tried[0] == TriggerSetting(0.5)
    keys = {key for candidate in tried for key in candidate.changes}
    assert keys == {
        "ENTER_MARGIN", "EXIT_MARGIN", "HOLD_MS", "MIN_DWELL_S", "EXIT_DELAY_S",
    }  # fmt: skip
    assert {candidate.confidence for candidate in tried} > {0.5, 0.9}


def test_a_limit_is_tried_with_a_hold_where_a_higher_confidence_loses_frames(
    run: Path,
) -> None:
    settings = load(run / "settings.ini")
    tried = list(candidates_of(settings.triggers["in"], 0.5))
    held = {"ENTER_MARGIN": 5.0, "HOLD_MS": 200.0}
    assert TriggerSetting(0.9, held) in tried
    assert TriggerSetting(0.5, held) not in tried
    assert TriggerSetting(0.3, held) not in tried


def test_a_setting_is_found_that_is_right_more_often(run: Path) -> None:
    """A wrong point has a lower confidence: a higher threshold leaves it out."""
    audit = open_audit(run, 300, seed=1)
    judge(audit, SCENE)
    choice = find_setting(audit, "in", wish=0.02)
    assert choice.meets
    assert "would have met" in str(choice)
    found = answers_with(
        load(run / "settings.ini"), RunFolder(run), "in", "top",
        [TriggerSetting(0.5), choice.setting],
    )  # fmt: skip
    before, after = (1 - float(SCENE.truth[fired].mean()) for fired in found.fired)
    assert after <= 0.02 < before
    assert choice.wrong is not None and choice.wrong.low <= after <= choice.wrong.high
    judged = sum(clip.kind == "trigger" for clip in audit.sample.clips)
    assert abs(choice.clips - judged / 2) <= 6, (
        "the figures are those of the other half"
    )


def test_what_no_setting_meets_is_said(run: Path, tmp_path: Path) -> None:
    """Wrong points with the confidence of right ones can't be told from them."""
    scene = replace(SCENE, seed=4, frames=1500)
    scene.confidence[:] = 0.9
    other = record(tmp_path / "run", scene)
    audit = open_audit(other, 100, seed=1)
    judge(audit, scene)
    choice = find_setting(audit, "in", wish=0.0001)
    assert not choice.meets
    assert "not known to meet it: judge more clips" in str(choice)


def test_too_few_clips_are_refused(run: Path, tmp_path: Path) -> None:
    audit = open_audit(record(tmp_path / "run", Scene(5, frames=300)), 20, seed=1)
    with pytest.raises(DeepLabStreamError, match="0 clips judged; at least 10"):
        find_setting(audit, "in")
    with pytest.raises(DeepLabStreamError, match="wish = 2"):
        find_setting(audit, "in", wish=2)


def test_halves_have_no_clip_in_common() -> None:
    one, other = halves(11)
    assert sorted([*one, *other]) == list(range(11))
    assert abs(len(one) - len(other)) <= 1
    assert np.all(np.diff(one) > 0)
