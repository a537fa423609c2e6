"""A recorded run is decided again from its poses: equal, or the difference is shown."""

from pathlib import Path

import pytest

from engine.again import decide_again, differences
from engine.settings import parse
from tests.engine.test_replay import SETTINGS, run_into
from utils.VideoAnalyzer import main


def test_the_same_settings_ask_for_the_same(tmp_path: Path) -> None:
    folder = run_into(tmp_path / "run")
    settings = parse(folder.settings_text, folder.path)
    pairs = list(decide_again(settings, folder))
    assert len(pairs) == 90
    assert sum(len(then.commands) for then, _ in pairs) > 8
    for then, now in pairs:
        assert then.commands == now.commands
        assert then.triggers == now.triggers
        assert (then.status, then.lost) == (now.status, now.lost)


def test_a_changed_region_shows_what_would_have_fired(tmp_path: Path) -> None:
    folder = run_into(tmp_path / "run")
    changed = SETTINGS.replace("circle 60 30 25", "circle 90 30 25")
    found = list(differences(parse(changed, tmp_path), folder))
    assert found[0].index == 12  # inside of the first circle, not yet of the second
    assert found[0].now == ()
    assert "recorded" in str(found[0])


@pytest.mark.parametrize("changed", [False, True])
def test_from_the_command_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], changed: bool
) -> None:
    folder = run_into(tmp_path / "run")
    words = ["--run", str(folder.path)]
    if changed:
        other = tmp_path / "other.ini"
        other.write_text(SETTINGS.replace("MAX_ON_S = 0.2", "MAX_ON_S = 0.1"), "utf-8")
        words += ["--settings", str(other)]
    assert main(words) == int(changed)
    said = capsys.readouterr().out
    assert ("the same commands" in said) is not changed


def test_a_folder_that_is_no_run_is_a_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--run", str(tmp_path)]) == 2
    assert "no run" in capsys.readouterr().err
