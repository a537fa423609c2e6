"""Reports are one file, say at the top what is wrong, and have every number of the tables."""

import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from html import unescape
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deeplabstream.analysis.analyse import analyse
from deeplabstream.analysis.camera_account import latencies, losses
from deeplabstream.analysis.group_statistics import compare_groups
from deeplabstream.analysis.options import AnalysisOptions
from deeplabstream.analysis.report import write_run_report, write_study_report
from deeplabstream.analysis.report_pdf import (
    INNER,
    Font,
    column_widths,
    width_of,
    wrapped,
)
from deeplabstream.analysis.study import analyse_runs
from deeplabstream.analysis.tracking_quality import RULES
from deeplabstream.core.errors import DeepLabStreamError
from deeplabstream.core.frame import ImageFormat
from deeplabstream.files.report_document import ReportTable, number
from deeplabstream.recording.recorded_frames import read_frames
from deeplabstream.recording.resumed_state import RESUMED, ResumedState
from deeplabstream.recording.run_folder import RunFacts, RunFolder
from deeplabstream.recording.run_summary import change_notes
from tests.analysis.made import body_at, made_run, run_of_two_experiments
from tests.recording import recorded, small_run
from utils.AnalyseRuns import main

GOLDEN = Path(__file__).resolve().parents[1] / "golden/runs"


@pytest.fixture
def golden(tmp_path: Path) -> Path:
    return Path(shutil.copytree(GOLDEN / "optogenetic", tmp_path / "optogenetic"))


@pytest.fixture(scope="module")
def unchanged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of the golden run; it is `report.html` beside the run, `optogenetic`."""
    folder = tmp_path_factory.mktemp("unchanged")
    run = shutil.copytree(GOLDEN / "optogenetic", folder / "optogenetic")
    return write_run_report(run, folder / "report.html")


def words_of(page: Path) -> str:
    """Return the text of a page without its images."""
    text = re.sub(r"<style>.*?</style>", "", page.read_text("utf-8"), flags=re.S)
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", text)).split())


def top_of(page: Path) -> str:
    return words_of(page).partition("run folder")[0]


def test_a_page_needs_no_other_file_and_has_every_measure(unchanged: Path) -> None:
    text = unchanged.read_text("utf-8")
    links = re.findall(r'(?:src|href)="([^"]*)"', text)
    assert links
    assert [each for each in links if not each.startswith(("#", "data:"))] == []
    assert "<script" not in text
    words = words_of(unchanged)
    results = analyse(unchanged.with_name("optogenetic"))
    for value in results.values:
        parts = value.measure.name, value.of, value.unit.replace("count", "")
        row = " ".join([*filter(None, parts), number(value.value)])
        assert row in words, row
    assert "speed around laser" in words
    assert "SHA-256" not in words  # the golden run has no hash
    assert "A simulation: its times are simulated" in words


def test_a_page_is_written_again_alike(unchanged: Path, tmp_path: Path) -> None:
    again = write_run_report(unchanged.with_name("optogenetic"), tmp_path / "b.html")
    assert again.read_bytes() == unchanged.read_bytes()


def test_a_recorded_run_has_its_accounts_and_latency(tmp_path: Path) -> None:
    run = recorded.record(tmp_path / "run")
    page = write_run_report(run, tmp_path / "a.html")
    words = words_of(page)
    assert (
        "top tables – 40 – – 39 1 30" in words
    )  # it has no accounts: rows are counted
    assert "top exposed to decided 39" in words
    rows = read_frames(RunFolder(run), "top").rows
    found = {
        each.what: each for each in latencies("top", rows, {"light": [(0, 10**6)]})
    }
    assert found["exposed to decided"].p99 == pytest.approx(3e-6)
    assert "exposed to written" not in found
    assert found["exposed to acted, light"].p50 == 1
    lost = losses("top", rows.assign(lost=[1 if 5 <= n < 9 else 0 for n in range(40)]))
    assert (lost.frames, lost.analysed, lost.times) == (3, 39, 1)
    assert lost.total_s == pytest.approx(0.4)


def test_poor_tracking_is_at_the_top_with_its_number(
    golden: Path, tmp_path: Path, unchanged: Path
) -> None:
    assert "Poor tracking" not in words_of(unchanged)
    table = golden / "arena.csv"
    lines = table.read_text("utf-8").splitlines()
    place = lines[0].split(",").index("snout_confidence")
    for row in range(1, len(lines)):
        if row % 40 > 25:  # 14 of 40 frames, in one gap
            cells = lines[row].split(",")
            cells[place] = "0.1"
            lines[row] = ",".join(cells)
    table.write_text("\n".join(lines) + "\n", "utf-8")
    top = top_of(write_run_report(golden, tmp_path / "b.html"))
    missing = analyse(golden).value("missing")
    assert missing > 0.3
    assert (
        f"Poor tracking: the position of animal1 is not known for {missing:.0%}" in top
    )
    assert "snout was found on " in top
    assert "(limit 20%)" in top


def test_each_rule_finds_what_it_is_for() -> None:
    t = np.arange(100) / 10
    points = body_at(np.column_stack([t, t]), np.zeros(100))[:, None]
    some = np.zeros((100, 1, 4), np.bool_)
    some[:30] = True
    account = {"camera": "top", "span": "analysis", "delivered": 90, "lost": 10}
    cases: dict[str, dict[str, Any]] = {
        "low_confidence": {"confidence": np.where(some, 0.2, 1.0)},
        "rejected": {"rejected": some},
        "ambiguous": {"ambiguous": some[:, :, 0]},
        "not_analysed": {"facts": {"accounting": [{**account, "analysed": 40}]}},
    }
    for name, more in cases.items():
        results = analyse(made_run(t, points, **more))
        (poor,) = (each for each in results.quality["animal1"] if each.is_poor)
        assert poor.rule.name == name
        expected = 0.6 if name == "not_analysed" else 30 / 99
        assert poor.share == pytest.approx(expected)
        assert f"{poor.share:.0%}" in str(poor)
    gaps = points.copy()
    gaps[1:-1:3] = np.nan
    (poor,) = (e for e in analyse(made_run(t, gaps)).quality["animal1"] if e.is_poor)
    assert poor.rule.name == "interpolated"


def test_a_run_without_poses_is_reported(tmp_path: Path) -> None:
    form = {"top": ImageFormat((48, 64), 30.0)}
    folder = RunFolder.create_at(
        tmp_path / "run", recorded.STARTED, "[Camera top]\n", RunFacts(0, form)
    )
    (folder.path / "events.csv").write_text("time_s,kind,camera,frame,name,level\n")
    folder.finish(recorded.STARTED, "stopped", [])
    page = write_run_report(folder.path, tmp_path / "a.html")
    assert "No poses: nothing was analysed" in top_of(page)
    assert "64 × 48 px, 30 frames/s" in words_of(page)
    assert "Options of the measures" not in words_of(page)
    pdf = write_run_report(folder.path, tmp_path / "a.pdf").read_bytes()
    assert pdf.startswith(b"%PDF")


def test_a_killed_run_is_repaired_and_says_so(tmp_path: Path) -> None:
    run = recorded.record(tmp_path / "run")
    RunFolder(run).update(ended=None, how=None)
    table = run / "top.csv"
    table.write_bytes(table.read_bytes()[:-30])
    top = top_of(write_run_report(run, tmp_path / "a.html"))
    assert "Repaired: top.csv: a half-written row was cut off" in top
    assert top.count("a half-written row was cut off") == 1
    assert "killed" in top


def test_a_run_that_continues_another_one_names_it(
    golden: Path, tmp_path: Path
) -> None:
    sentence = (
        "goes on from the run 2026-03-01_12-00-00 after a gap of 61.0 s: 5 s of light"
    )
    state = ResumedState(run="runs/a", sentence=sentence, experiment="light")
    RunFolder(golden).update(**{RESUMED: state.facts()})
    words = words_of(write_run_report(golden, tmp_path / "a.html"))
    assert f"continues {sentence}" in words


def test_two_animals_have_a_column_each(tmp_path: Path) -> None:
    run = small_run.made(tmp_path, animals=2)
    page = write_run_report(run, tmp_path / "a.html")
    assert "measure of unit anna bob definition" in words_of(page)
    assert "Plots: anna, camera top" in words_of(page)


def test_trials_have_the_number_of_their_experiment(tmp_path: Path) -> None:
    run = run_of_two_experiments(tmp_path)
    words = words_of(write_run_report(run, tmp_path / "a.html"))
    assert "experiment trial start (s) end (s) stimulus outcome" in words
    zero_s = analyse(run).spans[0].start_s
    for experiment, trial, start_s in (
        (1, 1, 0.266667),
        (1, 2, 6.466667),
        (2, 1, 15.066667),
    ):
        assert f" {experiment} {trial} {number(start_s - zero_s)} " in words


def test_an_exclusion_is_at_the_top_and_a_password_of_the_settings_left_out(
    golden: Path, tmp_path: Path
) -> None:
    change_notes(golden, excluded="the <fibre> came off")
    settings = golden / "settings.ini"
    text = settings.read_text("utf-8")
    url = "URL = rtsp://me:hunter2@192.168.0.20/stream"
    settings.write_text(text.replace("SEED = 4", url), "utf-8")
    page = write_run_report(golden, tmp_path / "a.html")
    assert "excluded from results: the <fibre> came off" in top_of(page)
    assert "<fibre>" not in page.read_text("utf-8")
    words = words_of(page)
    assert "rtsp://me:…@192.168.0.20/stream" in words
    assert "hunter2" not in words


def test_bins_are_tables_of_their_own(golden: Path, tmp_path: Path) -> None:
    options = AnalysisOptions(bin_s=10, phases=("stimulation:laser",))
    words = words_of(write_run_report(golden, tmp_path / "a.html", options))
    assert "measure of unit bin 1 bin 2 bin 3 before laser" in words
    assert "bin_s 10 changed" in words


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda run, file: (run, file.with_suffix(".doc")), "must end with"),
        (lambda run, file: (run.parent / "nowhere", file), "is not a run folder"),
        (lambda run, file: (run, run / "run.json/a.html"), "Can't write"),
    ],
)
def test_what_cant_be_written_is_named(
    golden: Path,
    tmp_path: Path,
    change: Callable[[Path, Path], tuple[Path, Path]],
    message: str,
) -> None:
    run, file = change(golden, tmp_path / "a.html")
    with pytest.raises(DeepLabStreamError, match=message):
        write_run_report(run, file)
    with pytest.raises(DeepLabStreamError, match="no body part"):
        options = replace(AnalysisOptions(), position=("tail",))
        write_run_report(golden, tmp_path / "a.html", options)
    assert not (tmp_path / "a.html").exists()


def test_a_pdf_has_its_text_as_text_and_plots_as_vectors(
    golden: Path, tmp_path: Path
) -> None:
    options = AnalysisOptions(bin_s=10)
    first = write_run_report(golden, tmp_path / "a.pdf", options).read_bytes()
    assert first.startswith(b"%PDF")
    assert first.count(b"/Type /Page ") > 4
    assert b"FontFile2" in first
    assert b"/Type3" not in first
    again = write_run_report(golden, tmp_path / "b.pdf", options).read_bytes()
    assert again == first


LETTERS = st.characters(codec="latin-1", categories=("L", "N", "P", "Zs"))


@given(st.text(LETTERS, max_size=80), st.floats(0.05, 3))
def test_wrapped_lines_fit_and_lose_no_letter(text: str, width: float) -> None:
    font = Font(8.5)
    lines = wrapped(text, font, width)
    assert "".join("".join(lines).split()) == "".join(text.split())
    assert all(width_of(line, font) <= width or len(line) == 1 for line in lines)


def test_columns_of_a_table_fit_the_page() -> None:
    words = "a definition of many words " * 20
    table = ReportTable(
        ["measure", "n", "definition"], [["region_entries.left", "12", words]]
    )
    widths = column_widths(table, Font(7))
    assert sum(widths) <= INNER + 1e-9
    assert widths[0] > width_of("region_entries.left", Font(7))
    assert widths[2] > 4


@pytest.fixture
def output(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Six runs of six animals in two groups; one is excluded, one has no poses."""
    for number_ in range(8):
        run = tmp_path / f"output/run{number_}"
        shutil.copytree(GOLDEN / ("optogenetic", "conditional")[number_ % 2], run)
        more = {"session": {"animal": f"0{number_}", "group": "ab"[number_ % 2]}}
        RunFolder(run).update(**more, started=f"2026-11-2{number_}T12:00:00+00:00")
        if number_ < 6:  # so that animals differ
            rows = (run / "arena.csv").read_text("utf-8").splitlines(keepends=True)
            kept = len(rows) - 15 * number_
            (run / "arena.csv").write_text("".join(rows[:kept]), "utf-8")
    change_notes(tmp_path / "output/run6", excluded="wrong drug")
    (tmp_path / "output/run7/arena.csv").unlink()
    monkeypatch.chdir(tmp_path)
    return tmp_path / "output"


def test_a_study_compares_groups_and_names_what_is_left_out(
    output: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["output", "--report", "study.html", "--levels", "a", "b"]) == 0
    assert not Path("results.csv").exists()
    words = words_of(Path("study.html"))
    assert "run6 excluded wrong drug" in words
    assert "run7 can't be analysed" in words
    study = analyse_runs([output / f"run{n}" for n in range(6)], processes=1)
    row = compare_groups(study.table, ["mean_speed_px_per_s"]).table.iloc[0]
    for cell in (row["test"], number(row["difference"]), number(row["ci_low"])):
        assert cell in words
    assert "a: 3, b: 3" in words
    assert row["effect_size"] in words
    means = (
        study.table[study.table.span == "whole"].groupby("group")["distance_px"].mean()
    )
    assert f"distance (px) a 3 {number(means['a'])}" in words
    two = ["output/run0", "output/run1", "--report", "study.pdf"]
    assert main([*two, "--measures", "stimuli"]) == 2
    assert "no column stimuli" in capsys.readouterr().err
    assert main(["output", "--report", "study.pdf", "--measures", "distance_px"]) == 0
    assert Path("study.pdf").read_bytes().startswith(b"%PDF")


def test_a_study_of_one_group_has_no_test(output: Path) -> None:
    runs = [output / name for name in ("run0", "run2")]
    words = words_of(write_study_report(runs, "one.html"))
    assert "Groups are not tested: column group: fewer than two groups" in words
    assert "distance (px) a 2" in words
    left_out = [output / "run6", output / "run0"]
    words = words_of(write_study_report(runs, "one.html", excluded=left_out))
    assert "run6 excluded wrong drug" in words
    assert "run0 excluded" not in words, "it is in the study"


def test_a_report_of_one_run_from_the_program(
    output: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["output/run0", "--report", "run.html"]
    assert main(words) == 0
    assert main(words) == 2
    assert "--overwrite" in capsys.readouterr().err
    assert main([*words, "--overwrite", "--table", "a.csv"]) == 0
    assert Path("a.csv").is_file()
    assert main(["output/run0", "--report", "run.doc"]) == 2
    assert "must end with .html or .pdf" in capsys.readouterr().err


def test_the_limits_are_documented() -> None:
    page = (GOLDEN.parents[2] / "docs/results.md").read_text("utf-8")
    for rule in RULES:
        assert f"| `{rule.name}` | {rule.limit:g} | {rule.definition}" in page


def test_numbers_have_four_digits() -> None:
    given = (1234567.8, 0.012345, 3.0, np.nan, -0.5)
    assert [number(each) for each in given] == ["1234568", "0.01235", "3", "–", "-0.5"]
