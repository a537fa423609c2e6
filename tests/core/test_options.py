import argparse
from pathlib import Path

import pytest

from core.errors import DeepLabStreamError, ModelError
from core.options import at_least, check_new


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


def test_a_folder_to_make_is_new_or_empty(tmp_path: Path) -> None:
    check_new(tmp_path)
    check_new(tmp_path / "new")
    (tmp_path / "file").write_text("mine", "utf-8")
    with pytest.raises(DeepLabStreamError, match="not empty; name a new folder"):
        check_new(tmp_path)
    with pytest.raises(ModelError, match="file is a file; name a new folder"):
        check_new(tmp_path / "file", ModelError)
