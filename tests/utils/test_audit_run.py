"""The program draws, exports, imports and states; results reach report, NWB and bundle."""

import csv
from pathlib import Path

import pytest

from deeplabstream.analysis.options import AnalysisOptions
from deeplabstream.analysis.run_report import run_document
from deeplabstream.audit.audit import open_audit
from deeplabstream.evidence.bundle_verification import verify_bundle
from deeplabstream.evidence.evidence_bundle import write_bundle
from deeplabstream.files.report_document import ReportTable, ReportText
from deeplabstream.recording.audit_results import read_results
from deeplabstream.recording.exporters.exports import export
from tests.audit.scripted_run import Scene, judge, record, verdict_of
from utils.AuditRun import main

SCENE = Scene(1, frames=1200)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return record(tmp_path / "run", SCENE)


def table_of(file: Path) -> list[dict[str, str]]:
    with file.open(encoding="utf-8") as text:
        return list(csv.DictReader(text))


def test_clips_are_judged_elsewhere(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "clips.csv"
    arguments = [str(run), "--clips", "40", "--seed", "1"]
    assert main([*arguments, "--export", str(file)]) == 0
    assert "no clip is judged yet" in capsys.readouterr().out
    rows = table_of(file)
    assert len(rows) == 40
    clips = open_audit(run).sample.clips
    for row, clip in zip(rows, clips, strict=True):
        assert (row["video"], row["video_frame"]) == ("mouse.mp4", str(clip.frame))
        row["verdict"] = verdict_of(clip, SCENE)
    with file.open("w", encoding="utf-8", newline="") as text:
        text.write("clip;verdict\n")  # as spreadsheets of many languages save it
        text.writelines(f"{row['clip']};{row['verdict']}\n" for row in rows)

    words = [str(run), "--import", str(file), "--rater", "anna"]
    assert main(words) == 0
    said = capsys.readouterr().out
    assert "40 verdicts of anna stored" in said
    assert "40 of 40 clips judged (anna 40)" in said
    assert "[Trigger in]: recall" in said
    assert main(words) == 0
    assert "0 verdicts of anna stored" in capsys.readouterr().out, "nothing is new"
    results = read_results(run)
    assert results is not None and results.judged == 40


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("clip,verdict\n1,right\n2,yes\n", "line 3: verdict 'yes'; expected right"),
        ("clip,verdict\n99,right\n", "line 2: clip '99'; expected 1 to 10"),
        ("clip\n1\n", "'verdict' is not in list"),
        ("", "can't be imported"),
    ],
)
def test_a_wrong_table_changes_nothing(
    run: Path,
    tmp_path: Path,
    text: str,
    problem: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    audit = open_audit(run, 10, seed=1)
    (tmp_path / "clips.csv").write_text(text, "utf-8")
    words = ["--import", str(tmp_path / "clips.csv"), "--rater", "anna"]
    assert main([str(run), *words]) != 0
    assert problem in capsys.readouterr().err
    audit.refresh()
    assert audit.raters == ()


def test_verdicts_need_a_rater(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main([str(run), "--import", "clips.csv"])
    assert "name who judged with --rater" in capsys.readouterr().err


def test_a_setting_is_looked_for(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    judge(open_audit(run, 60, seed=1), SCENE)
    assert main([str(run), "--sweep", "--wish", "0.2"]) == 0
    said = capsys.readouterr().out
    assert "[Trigger in] " in said and "on the other half" in said
    results = read_results(run)
    assert results is not None and len(results.settings) == 1
    assert main([str(run)]) == 0
    assert results.settings[0] in capsys.readouterr().out, "it is kept"


def test_the_report_has_the_figures(run: Path) -> None:
    titles = [s.title for s in run_document(run, AnalysisOptions()).sections]
    assert "Audit of triggers" not in titles
    audit = open_audit(run, 60, seed=1)
    judge(audit, SCENE)
    results = audit.save_results()
    document = run_document(run, AnalysisOptions())
    (section,) = (s for s in document.sections if s.title == "Audit of triggers")
    (table,) = (b for b in section.blocks if isinstance(b, ReportTable))
    assert len(table.rows) == len(results.rows) == 3
    texts = [b.text for b in section.blocks if isinstance(b, ReportText)]
    assert any("60 of 60 clips judged" in text for text in texts)


def test_nwb_has_the_figures(run: Path) -> None:
    from pynwb import NWBHDF5IO, validate

    audit = open_audit(run, 60, seed=1)
    judge(audit, SCENE)
    results = audit.save_results()
    (path,) = export(run, ["nwb"])
    with NWBHDF5IO(path, "r") as file:
        assert not validate(io=file)
        table = file.read().processing["audit"]["figures"].to_dataframe()
    assert table["value"].tolist() == [row.interval.value for row in results.rows]
    assert table["hour"].tolist() == [-1] * len(results.rows)


def test_the_bundle_has_the_audit_and_says_what_it_shows(
    run: Path, tmp_path: Path
) -> None:
    audit = open_audit(run, 30, seed=1)
    judge(audit, SCENE)
    audit.save_results()
    write_bundle(run, tmp_path / "bundle")
    found = verify_bundle(tmp_path / "bundle")
    assert not found.failed
    assert any("[Trigger in]: precision" in text for text in found.not_proven)

    # figures of fewer verdicts than the file has are not taken for those of all
    audit.give(audit.clip(1), "bob", "wrong")
    write_bundle(run, tmp_path / "later")
    found = verify_bundle(tmp_path / "later")
    assert any("30 verdicts, audit.json has 31" in text for text in found.not_proven)
