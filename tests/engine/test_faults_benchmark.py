"""The benchmark of faults: its smallest case.

tests/training/test_damaged_projects.py damages files of all kinds.
"""

import json
import sys
from pathlib import Path

import pytest

if sys.platform != "linux":
    pytest.skip("it needs pidfd and pseudo-terminals", allow_module_level=True)

from benchmarks.faults import main


@pytest.mark.timeout(400)
def test_a_killed_engine_leaves_no_laser_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "faults.json"
    words = ["--quick", "--only", "main + engine", "--files", "8", "--json", str(file)]
    words += ["--readers", "label table"]
    for _ in range(3):  # on a busy computer a rig may refuse to start
        assert main(words) == 0
        found = json.loads(file.read_text("utf-8"))
        if found["faults"]:
            break
    (row,) = found["faults"]["kill main + engine"]
    assert row["ms"] > 0
    assert row["left"] == 0
    assert row["recorded"]
    assert row["closed"]
    assert row["seed"] == "1 0", "the trial can be repeated"
    files = found["files"].values()
    assert set(found["files"]) == {"label table (.csv)", "label table (.h5)"}
    assert all(each["tried"] for each in files)
    assert not any(each["faults"] for each in files)
    said = capsys.readouterr().out
    assert "| kill main + engine | 1 | 1 |" in said
    assert "| label table (.csv) | 2 |" in said
    assert main([*words, "--files", "16"]) == 0, "it continues"
    assert json.loads(file.read_text("utf-8"))["faults"] == found["faults"]
    said = capsys.readouterr().out
    assert "| kill main + engine | 1 | 1 |" in said
    assert "| label table (.csv) | 3 |" in said
