"""The audit page: keys give verdicts, nothing after a decision is shown, raters are blind."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PyQt5.QtCore import QEvent, Qt
from PyQt5.QtGui import QKeyEvent
from PyQt5.QtTest import QTest
from PyQt5.QtWidgets import QApplication, QLabel, QLineEdit, QStackedWidget
from pytestqt.qtbot import QtBot

from deeplabstream.audit.audit import open_audit
from deeplabstream.gui.audit_clips import AuditClips, shown_rows
from deeplabstream.gui.pages.audit_page import AuditPage
from deeplabstream.gui.pages.runs_page import RunsPage
from deeplabstream.gui.settings_document import Document
from deeplabstream.gui.widgets.audit_panel import progress_text
from deeplabstream.recording.audit_results import read_results
from tests.recording.recorded import SETTINGS, SKIPPED, brightness, record

SOON = 300_000  # ms
CLIPS = 8
KEYS = {"right": Qt.Key.Key_R, "wrong": Qt.Key.Key_W, "cannot say": Qt.Key.Key_C}
UNDO, SPACE, OVERLAY = Qt.Key.Key_Backspace, Qt.Key.Key_Space, Qt.Key.Key_O


@pytest.fixture
def run(tmp_path: Path) -> Path:
    path = record(tmp_path / "output" / "monday")
    open_audit(path, count=CLIPS, seed=2)
    return path


@pytest.fixture
def page(run: Path, qtbot: QtBot) -> Iterator[AuditPage]:
    made = opened(qtbot, run)
    made.use_rater("anna")
    await_clip(qtbot, made)
    yield made
    made.finish()


def opened(qtbot: QtBot, run: Path) -> AuditPage:
    made = AuditPage()
    qtbot.addWidget(made)
    made.resize(842, 640)
    made.show()
    with qtbot.waitSignal(made.clips.opened, timeout=SOON):
        made.open(run)
    return made


def await_clip(qtbot: QtBot, page: AuditPage) -> int:
    """Wait until a clip is shown, and return its number."""
    qtbot.waitUntil(lambda: page.shown, timeout=SOON)
    assert page.clip is not None
    return page.clip.number


def judge(qtbot: QtBot, page: AuditPage, verdict: str) -> int:
    """Judge the next clip with a key, and return its number."""
    number = await_clip(qtbot, page)
    QTest.keyClick(page, KEYS[verdict])
    return number


def judge_all(qtbot: QtBot, page: AuditPage) -> None:
    """Judge all clips that are left: the first is wrong, the others are right."""
    with qtbot.waitSignal(page.clips.computed, timeout=SOON):
        while page.clip is not None:
            first = await_clip(qtbot, page) == 1
            QTest.keyClick(page, KEYS["wrong" if first else "right"])


def stored(run: Path, rater: str = "anna") -> dict[int, str]:
    """Return the stored verdicts of a rater."""
    audit = open_audit(run)
    found = {clip.number: audit.verdict(clip, rater) for clip in audit.sample.clips}
    return {number: verdict for number, verdict in found.items() if verdict}


def texts(page: AuditPage) -> list[str]:
    return [label.text() for label in page.findChildren(QLabel) if label.isVisible()]


def test_keys_give_verdicts_and_take_them_back(
    page: AuditPage, run: Path, qtbot: QtBot
) -> None:
    judged = {judge(qtbot, page, verdict): verdict for verdict in KEYS}
    assert judged == {1: "right", 2: "wrong", 3: "cannot say"}
    assert stored(run) == judged, "every verdict is stored at once"
    assert await_clip(qtbot, page) == 4
    assert f"3 of {CLIPS}, less than 1 min left" in texts(page)

    QTest.keyClick(page, UNDO)
    assert page.shown, "the frames of the last clip are kept"
    assert await_clip(qtbot, page) == 3
    assert stored(run) == {1: "right", 2: "wrong"}
    page.panel.undo.click()
    assert await_clip(qtbot, page) == 2
    page.panel.buttons["right"].click()
    assert stored(run) == {1: "right", 2: "right"}


def test_the_next_clip_is_decoded_before_it_is_shown(
    page: AuditPage, run: Path, qtbot: QtBot
) -> None:
    audit = open_audit(run)
    following = audit.sample.clips[1]
    qtbot.waitUntil(lambda: page.clips.ready(following) is not None, timeout=SOON)
    QTest.keyClick(page, KEYS["right"])
    assert page.shown
    assert page.clip == following


def test_no_frame_after_the_decision_is_shown(
    page: AuditPage, run: Path, qtbot: QtBot
) -> None:
    audit = open_audit(run)
    for clip in audit.sample.clips:
        assert await_clip(qtbot, page) == clip.number
        decoded = page.clips.ready(clip)
        assert decoded is not None
        frames = [frame.index for frame in decoded.frames]
        assert frames == list(range(max(0, clip.frame - 20), clip.frame + 1))
        for frame in decoded.frames:
            assert abs(int(np.median(frame.image)) - brightness(frame.index)) <= 2

        seen = set()
        for _ in range(200):  # the clip is repeated at least twice
            page.tick()
            seen.add(page.view._index)
        assert max(seen) == clip.frame
        assert min(seen) == frames[0]
        QTest.keyClick(page, KEYS["right"])


def test_frames_of_a_fast_camera_are_thinned_out_backwards_from_the_decision() -> None:
    times_s = np.arange(100) / 300
    assert shown_rows(times_s, range(5, 39)) == [8, 18, 28, 38]


def test_large_images_are_reduced_together_with_their_overlay(
    run: Path, qtbot: QtBot
) -> None:
    audit = open_audit(run)
    clip = next(clip for clip in audit.sample.clips if clip.frame > SKIPPED)
    rows = shown_rows(audit.review.cameras["top"].times_s, audit.rows_of(clip))
    clips = AuditClips(most_bytes=len(rows) * 24 * 32 * 3)
    with qtbot.waitSignal(clips.opened, timeout=SOON):
        clips.open(run)
    with qtbot.waitSignal(clips.decoded, timeout=SOON) as found:
        clips.request([clip])
    clips.finish()
    decoded = found.args[0]
    last = decoded.frames[-1]
    assert last.image.shape == (24, 32, 3)
    assert abs(int(np.median(last.image)) - brightness(clip.frame)) <= 2
    x, y = last.step.pose.points[0, 0]
    assert (x, y) == ((clip.frame + 0.5) / 2 - 0.5, (10 + 0.5) / 2 - 0.5)
    (zone,) = decoded.zones
    np.testing.assert_allclose(zone.outline.mean(axis=0), (20.5 / 2 - 0.5,) * 2)


def test_the_overlay_is_off_until_it_is_switched_on(
    page: AuditPage, qtbot: QtBot
) -> None:
    view = page.view
    page.play.stop()
    page.at_s = 0.0
    page.tick()
    bare = view.grab().toImage()
    assert not page.overlay.isChecked()
    assert view._step is None
    assert view.zones == ()
    QTest.keyClick(page, OVERLAY)
    assert view._step is not None
    assert view._step.triggers == {"in": page.clip.answer if page.clip else None}
    assert [zone.trigger for zone in view.zones] == ["in"]
    assert view.grab().toImage() != bare
    page.overlay.click()
    assert view.grab().toImage() == bare


def test_what_the_program_decided_is_said(page: AuditPage, run: Path) -> None:
    clip = page.clip
    assert clip is not None
    assert clip.kind == "trigger"
    shown = texts(page)
    assert "in" in shown
    assert {True: "TRUE", False: "FALSE", None: "UNKNOWN"}[clip.answer] in shown
    condition = page.panel.condition.text()
    assert condition.startswith("Holds while the body parts are inside the region")
    assert "Region: circle 20 20 9" in condition
    assert condition.endswith("Unit: px"), "the file has no UNIT"


def test_space_pauses_and_starts_again(page: AuditPage, qtbot: QtBot) -> None:
    assert page.play.isChecked()
    page.tick()
    QTest.keyClick(page, SPACE)
    assert not page.play.isChecked()
    QTest.keyClick(page, SPACE)
    assert page.play.isChecked()
    assert page.at_s == -2.0


def test_a_held_key_and_one_before_the_clip_judge_nothing(
    page: AuditPage, run: Path, qtbot: QtBot
) -> None:
    held = QKeyEvent(
        QEvent.Type.KeyPress, KEYS["right"], Qt.KeyboardModifiers(), "r", True
    )
    QApplication.sendEvent(page, held)
    assert stored(run) == {}
    page.clear("Choose a run")
    assert page.panel.answer.text() == "–"
    QTest.keyClick(page, KEYS["right"])
    QTest.keyClick(page, UNDO)
    assert stored(run) == {}


def test_an_audit_goes_on_after_it_was_left(
    page: AuditPage, run: Path, qtbot: QtBot
) -> None:
    for _ in range(2):
        judge(qtbot, page, "right")
    page.leave()
    again = opened(qtbot, run)
    assert await_clip(qtbot, again) == 3
    assert again.rater.currentText() == "anna"
    assert any(text.startswith(f"2 of {CLIPS},") for text in texts(again))
    again.finish()


def test_a_second_rater_sees_nothing_of_the_first(
    page: AuditPage, run: Path, qtbot: QtBot
) -> None:
    first = texts(page)
    judge(qtbot, page, "wrong")
    judge_all(qtbot, page)
    page.leave()

    again = opened(qtbot, run)
    assert again.clip is None, "no figures, and no clip, before a name is entered"
    assert again.view.empty_text.startswith("Judged by anna.")
    line = again.rater.lineEdit()
    assert line is not None
    again.activateWindow()
    qtbot.waitUntil(line.hasFocus, timeout=SOON)
    QTest.keyClicks(line, "an")
    QTest.keyClick(line, Qt.Key.Key_Return)
    assert again.rater.currentText() == "an", (
        "a name is not completed to that of another"
    )
    assert await_clip(qtbot, again) == 1
    line.clear()
    QTest.keyClicks(line, "ben r")
    QTest.keyClick(line, Qt.Key.Key_Return)
    assert stored(run, "ben r") == {}, "letters of a name are no verdicts"
    assert again.hasFocus(), "the keys judge clips now"
    assert await_clip(qtbot, again) == 1
    assert texts(again) == first
    judge(qtbot, again, "right")
    assert await_clip(qtbot, again) == 2
    assert stored(run, "ben r") == {1: "right"}
    assert stored(run)[1] == "wrong"
    QTest.keyClick(again, UNDO)
    assert stored(run)[1] == "wrong", "a rater can undo only own verdicts"
    again.finish()


def test_a_new_rater_can_be_chosen_again(page: AuditPage, qtbot: QtBot) -> None:
    page.use_rater("ben")
    assert page.rater.findText("ben") < 0, "a name may be mistyped"
    for _ in range(2):
        judge(qtbot, page, "right")
    page.use_rater("anna")
    judge(qtbot, page, "right")
    offered = [page.rater.itemText(row) for row in range(page.rater.count())]
    assert sorted(offered) == ["anna", "ben"]
    assert page.rater.currentText() == "anna"


def test_figures_and_agreement_are_shown_and_stored_at_the_end(
    page: AuditPage, run: Path, qtbot: QtBot
) -> None:
    judge_all(qtbot, page)
    rows = page.figures.table.values.rows
    assert ("Trigger", "in", "all") in [tuple(row[:3]) for row in rows]
    results = read_results(run)
    assert results is not None
    assert results.judged == CLIPS
    precision = results.find("trigger", "in", "precision")
    assert precision is not None
    assert any(f"{precision.value:.1%}" in str(cell) for row in rows for cell in row)

    page.use_rater("ben")
    assert page.clip is not None
    judge_all(qtbot, page)
    assert "Cohen's kappa" in page.figures.notes.text()
    QTest.keyClick(page, UNDO)
    assert await_clip(qtbot, page) == CLIPS


def test_a_run_that_can_not_be_audited_says_why(tmp_path: Path, qtbot: QtBot) -> None:
    page = AuditPage()
    qtbot.addWidget(page)
    page.show()
    with qtbot.waitSignal(page.clips.failed, timeout=SOON):
        page.open(record(tmp_path / "run", filmed=range(0)))
    assert "can't be audited" in page.view.empty_text
    assert not page.rater.isEnabled()
    page.finish()


def test_the_audit_is_opened_from_a_run_and_left_by_escape(
    run: Path, tmp_path: Path, qtbot: QtBot
) -> None:
    page, other, stack = (
        RunsPage(Document(tmp_path / "rig.ini", SETTINGS)),
        QLineEdit(),
        QStackedWidget(),
    )
    stack.addWidget(page)
    stack.addWidget(other)
    qtbot.addWidget(stack)
    stack.show()
    stack.activateWindow()
    assert not page.audit_triggers.isEnabled()
    page.open(run)
    page.audit_triggers.click()
    qtbot.waitUntil(page.audit.hasFocus, timeout=SOON)
    assert not page.view.timeline.isVisible(), "it shows what came after"
    await_clip(qtbot, page.audit)
    stack.setCurrentWidget(other)
    other.setFocus()
    assert not page.audit.play.isChecked(), "nothing plays in the background"
    stack.setCurrentWidget(page)
    qtbot.waitUntil(page.audit.hasFocus, timeout=SOON)
    assert page.cancel()
    assert page.view.isVisible()
    assert not page.audit.shown
    assert not page.cancel()
    page.finish()


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        ([], "17 of 100, about 8 min left"),
        ([4.0] * 10, "17 of 100, about 6 min left"),
        ([30.0] * 10 + [4.0] * 20, "17 of 100, about 6 min left"),
    ],
)
def test_the_time_left_follows_the_rater(seconds: list[float], text: str) -> None:
    assert progress_text(17, 100, seconds) == text
