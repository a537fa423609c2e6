"""The program writes one table of recorded runs, and keeps added regions with a run."""

import json
import shutil
from pathlib import Path

import pandas as pd
import pytest

import deeplabstream as dls
from deeplabstream.analysis.region_list import read_places
from deeplabstream.recording.run_catalogue import INDEX
from utils.AnalyseRuns import main

GOLDEN = Path(__file__).resolve().parents[1] / "golden/runs"


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("conditional", "optogenetic"):
        shutil.copytree(GOLDEN / name, tmp_path / "output" / name)
    monkeypatch.chdir(tmp_path)
    return tmp_path / "output"


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(f.relative_to(folder)): f.read_bytes()
        for f in folder.rglob("*")
        if f.is_file() and f.name != INDEX
    }


def test_a_folder_of_runs_becomes_one_table(runs: Path) -> None:
    before = contents(runs)
    assert main(["output", "--bin-s", "10", "--table", "all.csv"]) == 0
    table = pd.read_csv("all.csv")
    assert list(table["run"].unique()) == ["conditional", "optogenetic"]
    assert list(table["span"][:4]) == ["whole", "bin 1", "bin 2", "bin 3"]
    whole = table[table.span == "whole"].set_index("run")
    assert whole.loc["conditional", "region_entries.in the corner"] == 5
    assert whole.loc["conditional", "stimuli.stimulus"] == 5
    assert whole.loc["optogenetic", "stimuli.laser"] == 5
    assert contents(runs) == before


def test_nothing_is_overwritten_without_being_asked(
    runs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("results.csv").write_text("mine", "utf-8")
    assert main(["output"]) == 2
    assert "--overwrite" in capsys.readouterr().err
    assert Path("results.csv").read_text("utf-8") == "mine"
    assert main(["output", "--overwrite", "--long"]) == 0
    long = pd.read_csv("results.csv")
    assert list(long.columns)[-4:] == ["measure", "of", "value", "unit"]


def test_regions_that_are_added_are_kept_beside_the_recorded_files(runs: Path) -> None:
    run = runs / "conditional"
    before = contents(run)
    words = ["--region", "half = rectangle 0 0 320 480", "--keep-regions"]
    assert main([str(run), *words]) == 0
    after = contents(run)
    assert set(after) - set(before) == {"regions.json"}
    assert {name: after[name] for name in before} == before
    assert [each.name for each in read_places(run).regions] == ["half"]
    results = dls.analyse(run)
    half, corner = (
        results.value("region_time", of) for of in ("half", "in the corner")
    )
    assert half > corner > 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nowhere"], "is not a run folder and has none in it"),
        (["output/conditional", "--unit", "mm"], "no MM_PER_PIXEL"),
        (["output/conditional", "--camera", "left"], "no poses of camera left"),
        (["output/conditional", "--phases", "stimulation:lamp"], "no output 'lamp'"),
        (["output/conditional", "--phases", "dusk"], "expected stimulation:OUTPUT"),
        (["output/conditional", "--position", "tail"], "no body part 'tail'"),
        (["output/conditional", "--arena", "box"], "arena = box: no such region"),
        (
            ["output/conditional", "--max-gap-s", "-1"],
            "--max-gap-s = '-1': expected 0 or more",
        ),
        (["output/conditional", "--start-s", "100"], "start_s = 100"),
        (["output/conditional", "--region", "circle 1 2 3"], "expected NAME = "),
        (["output/conditional", "--region", "a = circle 1 2"], "expected circle X Y R"),
    ],
)
def test_a_mistake_is_named(
    runs: Path,
    words: list[str],
    message: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    try:
        code = main(words)
    except SystemExit as error:
        code = int(error.code or 0)
    said = capsys.readouterr().err
    assert code == 2
    assert message in said
    assert "Traceback" not in said
    assert not Path("results.csv").exists()


def test_a_damaged_list_of_regions_is_reported_and_kept(
    runs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = runs / "conditional/regions.json"
    path.write_text(json.dumps({"regions": [{"name": "a"}]}), "utf-8")
    assert main(["output"]) == 0
    assert "regions.json can't be read" in capsys.readouterr().err
    assert main(["output/conditional", "output/optogenetic", "--overwrite"]) == 2
    assert "regions.json can't be read" in capsys.readouterr().err
    assert list(pd.read_csv("results.csv")["run"].unique()) == ["optogenetic"]
    assert "name" in path.read_text("utf-8")
