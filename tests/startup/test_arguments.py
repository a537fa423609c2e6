import shlex
from types import SimpleNamespace

import pytest

from deeplabstream.startup import arguments
from deeplabstream.startup.arguments import quoted


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
