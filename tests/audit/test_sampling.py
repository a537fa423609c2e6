"""Clips are a random sample of the run's decisions, with known sizes of the strata."""

import dataclasses
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from deeplabstream.audit.sampling import (
    NEAR_S,
    allocate,
    draw_sample,
    only_shelters,
)
from deeplabstream.core.errors import DeepLabStreamError
from deeplabstream.recording.run_review import Review, review
from tests.audit.scripted_run import Scene, record, steps_of
from tests.recording import recorded

SCENE = Scene(1, lost_per_min=6)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Review:
    return review(record(tmp_path_factory.mktemp("audit") / "run", SCENE))


def test_strata_are_the_decisions_of_the_run(run: Review) -> None:
    sample = draw_sample(run, 60, seed=1)
    steps = list(steps_of(run.folder.path))
    answers = Counter(step.triggers["in"] for step in steps)
    sizes: Counter[bool | None] = Counter()
    for stratum in sample.strata:
        if stratum.kind == "trigger":
            sizes[stratum.answer] += stratum.size
    assert sizes == answers
    assert len(answers) == 3, "true, false and unknown"

    # each trial has a mark, and switches the light on once
    (light,) = (s for s in sample.strata if s.kind == "output")
    assert light.size == len(run.marks) > 10
    assert sum(sample.experiment_s) == pytest.approx(run.end_s, abs=0.1)


def test_each_clip_is_a_decision_of_its_stratum(run: Review) -> None:
    sample = draw_sample(run, 80, seed=2)
    strata = {stratum.name: stratum for stratum in sample.strata}
    assert [clip.number for clip in sample.clips] == list(range(1, 81))
    assert len({(clip.kind, clip.frame) for clip in sample.clips}) == 80
    steps = {step.index: step for step in steps_of(run.folder.path)}
    changes = [
        step.exposed_ns / 1e9
        for before, step in zip(steps.values(), list(steps.values())[1:], strict=False)
        if before.triggers != step.triggers
    ]
    for clip in sample.clips:
        stratum, step = strata[clip.stratum], steps[clip.frame]
        assert clip.time_s == step.exposed_ns / 1e9
        if clip.kind == "output":
            assert any(getattr(c, "output", "") == "light" for c in step.commands)
            continue
        assert step.triggers["in"] is clip.answer is stratum.answer
        nearest = np.abs(np.array(changes) - clip.time_s).min()
        assert stratum.near is bool(nearest <= NEAR_S)


def test_a_seed_draws_the_same_clips_again(run: Review) -> None:
    assert draw_sample(run, 40, seed=5) == draw_sample(run, 40, seed=5)
    assert draw_sample(run, 40, seed=5).clips != draw_sample(run, 40, seed=6).clips


def test_rare_decisions_get_more_than_their_share(run: Review) -> None:
    sample = draw_sample(run, 100, seed=3)
    clips = Counter(clip.stratum for clip in sample.clips)
    for stratum in sample.strata:
        assert clips[stratum.name] >= min(6, stratum.size)
    by_size = sorted(sample.strata, key=lambda stratum: stratum.size)
    shares = [clips[s.name] / s.size for s in (by_size[0], by_size[-1])]
    assert shares[0] > 2 * shares[1]


def test_clips_are_shared_out_completely() -> None:
    assert sum(allocate([500, 30, 7, 100000], 100)) == 100
    assert allocate([3, 2], 100) == [3, 2]
    assert allocate([1000] * 30, 20) == [1] * 20 + [0] * 10 or sum(
        allocate([1000] * 30, 20)
    ) in (20, 30)


def test_frames_without_an_image_are_not_covered(tmp_path: Path) -> None:
    """They cannot be judged; their number is stated."""
    run = review(recorded.record(tmp_path / "run"))
    sample = draw_sample(run, 100, seed=1)
    assert {clip.frame for clip in sample.clips} == {*range(recorded.UNFILMED)} - {
        recorded.SKIPPED
    }
    assert sample.not_recorded == recorded.FRAMES - recorded.UNFILMED
    not_recorded = review(recorded.record(tmp_path / "none", range(0)))
    with pytest.raises(DeepLabStreamError, match="no answers of triggers on frames"):
        draw_sample(not_recorded)


def test_a_sham_counts_as_the_answer_that_it_hides(tmp_path: Path) -> None:
    """The condition was found to hold; that nothing fired was drawn by chance."""
    scene = Scene(4, frames=1200, lost_per_min=0)
    plain = review(record(tmp_path / "plain", scene))
    sham = review(record(tmp_path / "sham", scene, "PROBABILITY = 0.5\nSEED = 3"))

    def true(run: Review) -> int:
        strata = draw_sample(run, 30, seed=1).strata
        return sum(s.size for s in strata if s.kind == "trigger" and s.answer is True)

    steps = list(steps_of(sham.folder.path))
    assert sum(s.triggers["in"] is True for s in steps) < true(plain)
    assert true(sham) == true(plain)


def test_an_unknown_trigger_is_refused(run: Review) -> None:
    with pytest.raises(DeepLabStreamError, match=r"\[Trigger out\].*has those of in"):
        draw_sample(run, triggers=["out"])


def test_the_sample_says_what_it_rests_on(run: Review) -> None:
    facts = draw_sample(run, 10, seed=1).facts
    assert facts.run == "run"
    assert facts.networks == {"script": "ab" * 32}
    assert facts.settings["[Trigger in]"]["REGION"] == "circle 120 150 50"
    assert "[Output light]" not in facts.settings
    assert dataclasses.asdict(facts)


@pytest.mark.parametrize("used", ["", "[Trigger not in]\nKIND = Not\nTRIGGER = nest\n"])
def test_a_trigger_that_is_only_a_shelter_is_not_audited(used: str) -> None:
    text = (
        "[Animals]\nSHELTERS = nest, tube\n[Trigger nest]\nKIND = InsideRegion\n"
        f"[Experiment one]\nTRIGGER = in, tube\n{used}"
    )
    assert only_shelters(text) == (set() if used else {"nest"})


def test_shelters_are_audited_if_they_are_chosen(run: Review) -> None:
    text = f"{run.folder.settings_text}\n[Animals]\nSHELTERS = in\n".replace(
        "TRIGGER = in\n", "TRIGGER = out\n"
    )
    settings = run.folder.path / "settings.ini"
    before = settings.read_text("utf-8")
    settings.write_text(text, "utf-8")
    try:
        sheltered = review(run.folder.path)
        names = {stratum.of for stratum in draw_sample(sheltered, 60).strata}
        assert names == {"light"}
        chosen = draw_sample(sheltered, 60, triggers=["in"])
        assert {stratum.of for stratum in chosen.strata} == {"in", "light"}
    finally:
        settings.write_text(before, "utf-8")
