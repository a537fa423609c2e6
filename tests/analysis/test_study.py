"""Several runs become one table, whatever process analyses each of them."""

import multiprocessing
import os
import shutil
import threading
from functools import partial
from multiprocessing.connection import Client, Listener
from pathlib import Path
from typing import NoReturn

import pandas as pd
import psutil
import pytest
from openpyxl import load_workbook

from deeplabstream.analysis.options import AnalysisOptions
from deeplabstream.analysis.study import (
    _in_processes,
    analyse_runs,
    find_runs,
    read_table,
    write_table,
)
from deeplabstream.core.errors import DeepLabStreamError
from deeplabstream.recording.run_catalogue import RunQuery
from deeplabstream.recording.run_folder import RunFolder
from deeplabstream.recording.run_summary import change_notes
from utils.AnalyseRuns import main

SOON_S = 300.0
GOLDEN = Path(__file__).resolve().parents[1] / "golden/runs"


@pytest.fixture
def output(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for number in range(6):
        run = tmp_path / f"output/run{number}"
        shutil.copytree(GOLDEN / "conditional", run)
        RunFolder(run).update(
            session={"animal": f"0{number % 3}", "group": "ab"[number % 2]},
            started=f"2026-11-2{number}T12:00:00+00:00",
        )
    monkeypatch.chdir(tmp_path)
    return tmp_path / "output"


def test_processes_side_by_side_give_the_same_table(output: Path) -> None:
    runs = find_runs([output])
    assert [run.name for run in runs] == [f"run{n}" for n in range(6)]
    (runs[2] / "arena.csv").unlink()
    options = AnalysisOptions(bin_s=10)
    alone = analyse_runs(runs, options, processes=1)
    several = analyse_runs(runs, options, processes=2)
    pd.testing.assert_frame_equal(alone.table, several.table)
    assert [path.name for path, _ in several.failed] == ["run2"]
    assert alone.failed == several.failed
    assert len(several.table) == 5 * 4


def stay(address: str, _run: Path) -> NoReturn:
    with Client(address) as link:
        link.send(os.getpid())
    threading.Event().wait()
    raise AssertionError


def stay_in_processes(address: str) -> None:
    runs = [Path("one"), Path("two")]
    list(_in_processes(runs, partial(stay, address), len(runs)))


def test_processes_of_a_study_end_with_the_one_that_started_them() -> None:
    with Listener() as listener:
        context = multiprocessing.get_context("spawn")
        started = context.Process(target=stay_in_processes, args=(listener.address,))
        started.start()
        workers = []
        for _ in range(2):
            with listener.accept() as link:
                workers.append(psutil.Process(link.recv()))
    started.kill()
    started.join()
    for worker in workers:
        worker.wait(SOON_S)


def test_the_runs_of_a_folder_are_chosen_and_excluded_ones_left_out(
    output: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    change_notes(output / "run0", excluded="lens was dirty")
    assert main(["output", "--group", "a"]) == 0
    assert "run0: excluded: lens was dirty" in capsys.readouterr().err
    assert list(pd.read_csv("results.csv")["run"].unique()) == ["run2", "run4"]
    words = ["--overwrite", "--with-excluded", "--since", "2026-11-20"]
    assert main(["output", *words, "--until", "2026-11-21"]) == 0
    assert list(pd.read_csv("results.csv")["run"].unique()) == ["run0", "run1"]
    assert main([str(output / "run0"), "--overwrite"]) == 0
    assert list(pd.read_csv("results.csv")["run"].unique()) == ["run0"]
    assert main(["output", "--animal", "M9", "--overwrite"]) != 0
    assert "no run fits" in capsys.readouterr().err


def test_a_named_run_is_wanted_and_a_folder_without_runs_refused(output: Path) -> None:
    query = RunQuery(animal="nobody")
    assert find_runs([output / "run3", output], query) == [output / "run3"]
    (output.parent / "empty").mkdir()
    with pytest.raises(DeepLabStreamError, match="empty is not a run folder and has"):
        find_runs([output.parent / "empty"])


@pytest.mark.parametrize("name", ["all.csv", "all.parquet", "all.XLSX"])
def test_a_table_comes_back_as_it_was_written(output: Path, name: str) -> None:
    table = analyse_runs(find_runs([output])[:2]).table
    write_table(Path(name), table)
    found = read_table(Path(name))
    assert list(found["animal"]) == ["00", "01"]
    pd.testing.assert_frame_equal(
        found, table, check_dtype=False, check_column_type=False
    )


def test_a_table_that_is_none_is_refused(tmp_path: Path) -> None:
    for name in ("a.csv", "a.parquet", "a.xlsx"):
        (tmp_path / name).write_bytes(b"\x00\xff" * 50)
        with pytest.raises(DeepLabStreamError, match=r"Can't read .* as a table"):
            read_table(tmp_path / name)
    with pytest.raises(DeepLabStreamError, match=r"must end with \.csv"):
        read_table(tmp_path / "a.txt")


@pytest.mark.parametrize("ending", [".csv", ".xlsx", ".parquet"])
def test_no_text_of_a_table_becomes_a_formula(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"table{ending}"
    names = ["=cmd|' /C calc'!A0", "+x", "@x", "-x", "\tx", "-5", "mouse's"]
    table = pd.DataFrame({"animal": names, "=shown": -1.5})
    write_table(path, table)
    if ending == ".csv":
        cells = [line.split(",") for line in path.read_text("utf-8").splitlines()]
        written = [cell.strip('"') for cell in cells[0] + [row[0] for row in cells[1:]]]
    elif ending == ".xlsx":
        rows = [*load_workbook(path).worksheets[0].rows]
        assert all(cell.data_type != "f" for row in rows for cell in row)
        assert rows[1][1].value == -1.5
        written = [str(row[0].value) for row in rows] + [str(rows[0][1].value)]
    else:
        written = []
    assert not [text for text in written if text[0] in "=+@\t" or text == "-x"]
    pd.testing.assert_frame_equal(
        read_table(path), table, check_dtype=False, check_index_type=False
    )
