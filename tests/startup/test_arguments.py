import argparse
import shlex
from types import SimpleNamespace

import pytest

from deeplabstream.startup import arguments
from deeplabstream.startup.arguments import at_least, quoted


@pytest.mark.parametrize("word", ["0", "-1", "x", "1.5", "", "nan"])
def test_a_number_that_is_too_small_or_none_is_refused(
    word: str, capsys: pytest.CaptureFixture[str]
) -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--frames", type=at_least(1))
    with pytest.raises(SystemExit):
        parser.parse_args(["--frames", word])
    assert f"--frames: {word!r}: expected a whole number, 1 or more" in (
        capsys.readouterr().err
    )
    assert parser.parse_args(["--frames", "1"]).frames == 1
    assert at_least(0.5, float)("0.5") == 0.5
    with pytest.raises(argparse.ArgumentTypeError, match=r"a number, 0\.5 or more"):
        at_least(0.5, float)("nan")


@pytest.mark.parametrize(
    ("word", "shown"),
    [
        (r"C:\rig\Käfig_1.mp4", r"C:\rig\Käfig_1.mp4"),
        ("--seeds", "--seeds"),
        (r"C:\R&D\v.mp4", r'"C:\R&D\v.mp4"'),
        ("0,1,2", '"0,1,2"'),
        ("a mouse.mp4", '"a mouse.mp4"'),
        ("D:\\my rig\\", '"D:\\my rig\\\\"'),
        ('say "x"', r'"say \"x\""'),
        ("", '""'),
    ],
)
def test_shown_words_reach_the_program_from_both_consoles_of_windows(
    monkeypatch: pytest.MonkeyPatch, word: str, shown: str
) -> None:
    assert shlex.split(quoted(word)) == [word]
    monkeypatch.setattr(arguments, "sys", SimpleNamespace(platform="win32"))
    assert quoted(word) == shown
