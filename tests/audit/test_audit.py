"""An audit is paused, continued and shared by several programs without loss."""

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from deeplabstream.audit.audit import CLIP_S, Audit, open_audit
from deeplabstream.audit.sampling import draw_sample
from deeplabstream.core.errors import DeepLabStreamError, DeviceError
from deeplabstream.recording.audit_files import read_audit
from deeplabstream.recording.audit_results import read_results
from deeplabstream.recording.run_review import review
from deeplabstream.recording.run_schema import AUDIT, AUDIT_RESULTS
from tests.audit.scripted_run import Scene, judge, record, true_shares
from tests.recording import recorded

SCENE = Scene(1)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return recorded.record(tmp_path / "run")


def test_an_audit_goes_on_where_it_was_left(run: Path) -> None:
    audit = open_audit(run, 12, seed=1)
    for clip in audit.sample.clips[:5]:
        audit.give(clip, "anna", "right", 1.5)
    again = open_audit(run, 99, seed=2)
    assert again.sample == audit.sample, "the sample stays"
    assert again.next_clip("anna") == again.clip(6)
    assert again.next_clip("bob") == again.clip(1)
    assert again.verdict(again.clip(5), "anna") == "right"
    assert again.verdict(again.clip(6), "anna") is None
    assert (again.judged("anna"), again.raters) == (5, ("anna",))
    for clip in again.sample.clips[5:]:
        again.give(clip, "anna", "cannot say")
    assert again.next_clip("anna") is None


def test_the_last_verdict_is_taken_back_and_stays_in_the_file(run: Path) -> None:
    audit = open_audit(run, 5, seed=1)
    audit.give(audit.clip(1), "anna", "right")
    audit.give(audit.clip(1), "bob", "wrong")
    audit.give(audit.clip(2), "anna", "wrong")
    assert audit.undo("anna") == audit.clip(2)
    assert audit.next_clip("anna") == audit.clip(2)
    assert audit.undo("anna") == audit.clip(1)
    assert audit.undo("anna") is None
    assert audit.verdict(audit.clip(1), "bob") == "wrong"
    assert len(json.loads((run / AUDIT).read_text("utf-8"))["verdicts"]) == 5


def test_a_second_verdict_replaces_the_first(run: Path) -> None:
    audit = open_audit(run, 5, seed=1)
    audit.give(audit.clip(1), "anna", "right")
    audit.give(audit.clip(1), "anna", "wrong")
    assert audit.verdict(audit.clip(1), "anna") == "wrong"
    assert audit.undo("anna") == audit.clip(1)
    assert audit.verdict(audit.clip(1), "anna") == "right"


def test_raters_at_the_same_time_lose_nothing(run: Path) -> None:
    audits = [open_audit(run, 20, seed=seed) for seed in (1, 2)]
    assert audits[0].sample == audits[1].sample, "the first one's sample is used"

    def rate(which: int) -> None:
        audit, rater = audits[which], ("anna", "bob")[which]
        while clip := audit.next_clip(rater):
            audit.give(clip, rater, "right")

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(rate, (0, 1)))
    audits[0].refresh()
    assert audits[0].results().raters == {"anna": 20, "bob": 20}
    assert len(read_audit(run).verdicts) == 40


def test_a_clip_ends_with_the_decision(run: Path) -> None:
    audit = open_audit(run, 50, seed=1)
    for clip in audit.sample.clips:
        rows = audit.rows_of(clip)
        times_s = audit.review.cameras["top"].times_s[list(rows)]
        assert times_s[-1] == clip.time_s
        assert clip.time_s - CLIP_S - 0.1 <= times_s[0]
        place = audit.review.video_frame_of(clip.camera, rows[-1])
        assert place == (run / "top.mkv", clip.frame)


def test_a_video_that_was_replayed_can_be_audited(tmp_path: Path) -> None:
    """Before the first experiment: the frames are those of the video itself."""
    audit = open_audit(record(tmp_path / "run", SCENE), 60, seed=1)
    clip = audit.clip(1)
    place = audit.review.video_frame_of(clip.camera, audit.row_of(clip))
    assert place == (tmp_path / "mouse.mp4", clip.frame)
    judge(audit, SCENE)
    precision, recall = true_shares(audit.run, SCENE)
    results = audit.save_results()
    for measure, truth in (("precision", precision), ("recall", recall)):
        found = results.find("trigger", "in", measure)  # type: ignore[arg-type]
        assert found is not None
        assert found.low <= truth <= found.high
        assert 0 < found.high - found.low < 0.4
    assert read_results(audit.run) == results
    lines = "\n".join(results.lines())
    assert "60 of 60 clips judged (anna 60)" in lines
    assert "[Trigger in]: precision" in lines
    assert "[Output light]" in lines and "wrong pulses per hour" in lines


def test_a_clip_whose_video_is_gone_has_no_image_and_is_not_drawn(
    run: Path, tmp_path: Path
) -> None:
    audit = open_audit(record(tmp_path / "replayed", SCENE), 5, seed=1)
    (tmp_path / "mouse.mp4").unlink()
    gone = Audit(review(audit.run), read_audit(audit.run))
    clip = gone.clip(1)
    assert gone.review.video_frame_of(clip.camera, gone.row_of(clip)) is None
    (run / "top.mkv").unlink()
    for without in (audit.run, run):
        with pytest.raises(
            DeepLabStreamError, match="no answers of triggers on frames"
        ):
            draw_sample(review(without))


def test_wrong_verdicts_are_refused(run: Path) -> None:
    audit = open_audit(run, 5, seed=1)
    with pytest.raises(DeepLabStreamError, match="expected right, wrong, cannot say"):
        audit.give(audit.clip(1), "anna", "maybe")  # type: ignore[arg-type]
    with pytest.raises(DeepLabStreamError, match="name of the rater"):
        audit.give(audit.clip(1), " ", "right")
    assert read_audit(run).verdicts == ()


@pytest.mark.parametrize("text", ["{", "[]", '{"schema": 9}', '{"schema": 1}'])
def test_a_damaged_audit_is_named_and_kept(run: Path, text: str) -> None:
    open_audit(run, 5, seed=1).save_results()
    (run / AUDIT).write_text(text, "utf-8")
    with pytest.raises(DeviceError, match=r"audit.json can't be read"):
        open_audit(run)
    assert (run / AUDIT).read_text("utf-8") == text
    (run / AUDIT_RESULTS).write_text(text, "utf-8")
    with pytest.raises(DeviceError, match=r"audit_results.json can't be read"):
        read_results(run)


def test_figures_count_verdicts_that_were_given_during_a_long_search(run: Path) -> None:
    audit = open_audit(run, 6, seed=1)
    for clip in audit.sample.clips:
        audit.give(clip, "anna", "right")
    searching = open_audit(run)
    for clip in audit.sample.clips:
        audit.give(clip, "bob", "right")
    results = searching.save_results(["none"])
    assert results.raters == {"anna": 6, "bob": 6}
    assert read_results(run) == results


def test_results_without_the_triggers_that_have_no_figures_are_read(run: Path) -> None:
    """Earlier development versions did not list them."""
    audit = open_audit(run, 6, seed=1)
    audit.give(audit.clip(1), "anna", "cannot say")
    saved = audit.save_results()
    assert saved.without_figures
    entries = json.loads((run / AUDIT_RESULTS).read_text("utf-8"))
    del entries["without_figures"]
    (run / AUDIT_RESULTS).write_text(json.dumps(entries), "utf-8")
    assert read_results(run) == replace(saved, without_figures=())
