"""The benchmark of faults: its smallest case."""

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
    assert main(["--quick", "--only", "main + engine", "--json", str(file)]) == 0
    (row,) = json.loads(file.read_text("utf-8"))["kill main + engine"]
    assert row["ms"] > 0
    assert row["left"] == 0
    assert row["recorded"]
    assert row["closed"]
    assert "| kill main + engine | 1 | 1 |" in capsys.readouterr().out
