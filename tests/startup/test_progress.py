"""Progress that programs write for the window."""

import pytest

from deeplabstream.core.clock import ManualClock
from deeplabstream.startup.progress import (
    VARIABLE,
    Overall,
    RemainingTime,
    _Lines,
    parse_overall,
    parse_progress,
    progress,
    progress_bar,
)


def told(capsys: pytest.CaptureFixture[str]) -> list[tuple[int, int, str] | None]:
    return [parse_progress(line) for line in capsys.readouterr().out.splitlines()]


def test_lines_have_the_start_and_the_end(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(VARIABLE, "1")
    assert list(progress("abc", "my film.mp4", 3)) == ["a", "b", "c"]
    lines = told(capsys)
    assert lines[0] == (0, 3, "my film.mp4")
    assert lines[-1] == (3, 3, "my film.mp4")
    with progress_bar("film") as bar:
        bar.show(40, 90)
    assert told(capsys)[-1] == (40, 90, "film")


def test_lines_are_at_most_five_a_second(capsys: pytest.CaptureFixture[str]) -> None:
    clock = ManualClock(10**9)
    lines = _Lines("film", 100, clock)
    for done in range(100):
        clock.set(10**9 + done * 20_000_000)
        lines.show(done)
    assert 9 <= len(told(capsys)) <= 11


def test_a_program_without_a_window_or_a_terminal_writes_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    assert list(progress("abc", "film", 3)) == ["a", "b", "c"]
    captured = capsys.readouterr()
    assert captured.out == captured.err == ""


def test_several_pieces_have_one_share_and_one_remaining_time(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(VARIABLE, "1")
    clock = ManualClock(10**9)
    overall = Overall([100, 300], clock)
    for number, at_s in ((0, 1), (1, 11)):
        with overall.bar(number, "film") as bar:
            for half in (0, 1, 2):
                clock.set((at_s + 5 * half * (1 + 2 * number)) * 10**9)
                bar.show(half, 2)
    lines = capsys.readouterr().out.splitlines()
    shares = [share for line in lines if (share := parse_overall(line)) is not None]
    assert shares == [0.0, 0.125, 0.25, 0.625, 1.0]
    left = RemainingTime()
    assert [left.after(*each) for each in ((5, 10, 0), (5, 10, 9), (6, 10, 10))] == [
        *(0.0, 0.0, 40.0)
    ]
    quick = Overall([100, 100], clock)
    for number in (0, 1):
        with quick.bar(number, "film") as bar:
            for done in (0, 1, 2):
                bar.show(done, 2)
    lines = capsys.readouterr().out.splitlines()
    shares = [share for line in lines if (share := parse_overall(line)) is not None]
    assert shares == [0.0, 0.5, 1.0], "the end of a piece, however quick it was"
    with Overall([7]).bar(0, "film") as bar:
        bar.show(1, 2)
    assert "overall" not in capsys.readouterr().out, "one video is all"
