"""A run is corrected by the program; results, exports and decisions say what they use."""

import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import deeplabstream as dls
from deeplabstream.engine.replay.rerun import rerun
from deeplabstream.recording.run_schema import CORRECTIONS
from tests.engine.test_video_replay import run_into
from tests.recording.small_run import expected, made
from utils.AnalyseRuns import main as analyse_runs
from utils.CorrectPoses import main
from utils.ExportRun import main as export_run
from utils.VideoAnalyzer import main as analyse_video

GOLDEN = Path(__file__).resolve().parents[1] / "golden/runs"


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return Path(shutil.copytree(GOLDEN / "conditional", tmp_path / "conditional"))


def hashes(run: Path) -> dict[str, str]:
    return {
        file.name: hashlib.sha256(file.read_bytes()).hexdigest()
        for file in run.iterdir()
        if file.is_file() and file.name != CORRECTIONS
    }


def test_results_use_the_corrections_and_say_so(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before, files = dls.analyse(run), hashes(run)
    frames = before.data.folder.path / "arena.csv"
    number = int(pd.read_csv(frames)["frame"].iloc[30])
    words = ["set", "--frames", str(number), "--bodyparts", "snout"]
    words += ["--position", "9", "8"]
    assert main([str(run), *words, "--who", "eva", "--why", "seen on the video"]) == 0
    assert capsys.readouterr().out == (
        f"1: set snout at 9 8, frame {number} of arena\n"
    )
    after, raw = dls.analyse(run), dls.analyse(run, dls.AnalysisOptions(raw=True))
    part = after.data.skeleton.bodyparts.index("snout")
    assert after.data.points[30, 0, part].tolist() == [9, 8]
    assert after.value("distance") != before.value("distance")
    assert raw.value("distance") == before.value("distance")
    for opened, wanted in (
        (dls.open_run(run, raw=True), before),
        (dls.open_run(run), after),
    ):
        poses = opened.poses_arrays
        np.testing.assert_allclose(
            poses.position[30, :, part, 0], wanted.data.points[30, 0, part]
        )
    share = 1 / len(after.data.t)
    assert f"corrected poses, with 1 correction, on {share:.1%} of the frames" in (
        after.notes
    )
    assert "recorded poses, without 1 correction" in raw.notes
    # two intervals touch the frame
    lasting = np.diff(after.data.t)[29:31].sum() / after.value("tracked")
    assert after.value("corrected") == pytest.approx(lasting, rel=1e-6)
    assert raw.value("corrected") == 0
    assert hashes(run) == files
    (kept,) = json.loads((run / CORRECTIONS).read_text("utf-8"))["corrections"]
    assert (kept["who"], kept["why"], kept["frames"]) == (
        "eva", "seen on the video", [number, number],
    )  # fmt: skip
    table = str(tmp_path / "results.csv")
    for more, said in (([], "corrected poses"), (["--raw"], "recorded poses")):
        assert analyse_runs([str(run), "--table", table, "--overwrite", *more]) == 0
        assert said in capsys.readouterr().err
    assert main([str(run), "undo", "1", "--why", "a slip"]) == 0
    assert dls.analyse(run).value("distance") == before.value("distance")
    assert main([str(run), "list"]) == 0
    first, second = capsys.readouterr().out.splitlines()[-2:]
    assert "(undone)  [eva; " in first
    assert second.startswith("2: undo 1  [")
    assert second.endswith("a slip]")


def test_a_span_is_given_in_seconds_too(run: Path) -> None:
    data = dls.analyse(run).data
    words = ["remove", "--seconds", str(data.t[10]), str(data.t[12])]
    assert main([str(run), *words]) == 0
    lost = np.isnan(dls.analyse(run).data.points).all(axis=(1, 2, 3))
    assert {10, 11, 12} <= {*np.flatnonzero(lost)}
    assert not lost[[9, 13]].any()
    assert main([str(run), "remove", "--seconds", "5000", "6000"]) == 2


def test_swapped_animals_reach_every_export_unless_raw_poses_are_wanted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = made(tmp_path, animals=2)
    words = ["swap", "--frames", "3", "4", "--animals", "anna", "bob"]
    assert main([str(folder), *words]) == 0
    swapped = expected(range(1, 5), animals=2)
    swapped[2:4] = swapped[2:4][:, ::-1]
    recorded = expected(range(1, 5), animals=2)
    for more, said, wanted in (
        (["--raw"], "recorded poses, without 1 correction", recorded),
        ([], "corrected poses, with 1 correction", swapped),
        (["--corrected"], "corrected poses, with 1 correction", swapped),
    ):
        is_corrected = wanted is swapped
        kinds = ["--to", "dlc-csv", "nwb", "parquet", "sleap", "--overwrite"]
        capsys.readouterr()
        assert export_run([str(folder), *kinds, *more]) == 0
        assert said in capsys.readouterr().out
        export = folder / "export"
        written = pd.read_csv(export / "top.dlc.csv", header=[0, 1, 2, 3], index_col=0)
        np.testing.assert_allclose(written.to_numpy().reshape(4, 2, 2, 3), wanted)
        rows = pd.read_parquet(export / "top.parquet").set_index("frame")
        np.testing.assert_allclose(rows.loc[3, "anna_nose_x"], wanted[2, 0, 0, 0])
        assert ("corrected_anna_nose" in rows) is is_corrected
        from pynwb import NWBHDF5IO

        with NWBHDF5IO(str(export / "run.nwb"), "r") as reader:
            series = reader.read().processing["behavior"]["top_anna"]
            nose = series.pose_estimation_series["nose"]
            np.testing.assert_allclose(nose.data[:4], wanted[:, 0, 0, :2])
            assert ("with 1 correction by hand" in nose.description) is is_corrected

    with pytest.raises(SystemExit, match="2"):
        export_run([str(folder), "--to", "parquet", "--raw", "--corrected"])
    assert "either --raw or --corrected" in capsys.readouterr().err


def test_merged_and_split_animals_reach_the_exports_with_their_new_names(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = made(tmp_path, animals=2)
    both = ["--animals", "anna", "bob"]
    merge = [str(folder), "merge", "--frames", "6", "7", *both]
    assert main([*merge, "--keep", "x"]) == 2
    assert "expected: anna or bob" in capsys.readouterr().err
    assert main([*merge, "--keep", "bob"]) == 0
    assert main([str(folder), "split", "--frames", "8", "--until", "end", *both]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "1: merge bob into anna, keep bob, frames 6 to 7 of top",
        "2: split bob from anna, frame 8 of top",
    ]

    recorded = expected(range(5, 10), animals=2)
    wanted = np.full_like(recorded, np.nan)
    wanted[..., 2] = 0
    wanted[1:3, 0], wanted[3, 1] = recorded[1:3, 1], recorded[3, 0]
    assert export_run([str(folder), "--to", "dlc-csv"]) == 0
    path = folder / "export/top_2.dlc.csv"
    written = pd.read_csv(path, header=[0, 1, 2, 3], index_col=0)
    np.testing.assert_allclose(written.to_numpy().reshape(5, 2, 2, 3), wanted)
    assert dls.uncertain_places(folder) == ()


def test_corrections_change_no_live_decision_in_tables_and_exports(run: Path) -> None:
    raw = dls.open_run(run, raw=True)
    frame = int(raw.frames.query("analysed")["frame"].iloc[30])
    words = ["remove", "--frames", str(frame), str(frame + 40)]
    assert main([str(run), *words]) == 0
    opened = dls.open_run(run)
    assert not np.array_equal(
        opened.poses_arrays.position, raw.poses_arrays.position, equal_nan=True
    )
    assert len(raw.events)
    assert len(raw.triggers)
    pd.testing.assert_frame_equal(opened.events, raw.events)
    pd.testing.assert_frame_equal(opened.triggers, raw.triggers)

    exported = []
    for more in ([], ["--raw"]):
        assert export_run([str(run), "--to", "parquet", "--overwrite", *more]) == 0
        exported.append(pd.read_parquet(run / "export/events.parquet"))
    assert len(exported[0]) == len(raw.events)
    pd.testing.assert_frame_equal(*exported)


def test_decisions_are_those_of_the_recorded_poses_unless_asked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = run_into(tmp_path / "run")
    same = rerun(folder.path)
    assert same.same
    assert not same.poses
    # the trigger 'spot' is a circle at 60 30: the animal is taken out of it
    recorded = next(s for s in folder.steps("top") if s.triggers.get("spot"))
    words = ["set", "--frames", str(recorded.index), str(recorded.index + 3)]
    part = folder.skeleton.bodyparts[0]
    words += ["--bodyparts", part, "--position", "5", "5"]
    assert main([str(folder.path), *words]) == 0
    capsys.readouterr()
    assert analyse_video(["--run", str(folder.path)]) == 0
    assert "decided on recorded poses, without 1 correction" in capsys.readouterr().out
    assert analyse_video(["--run", str(folder.path), "--corrected"]) == 1
    said = capsys.readouterr().out
    assert "decided on corrected poses, with 1 correction" in said
    assert f"frame {recorded.index} of top" in said
    assert len(dls.replay(folder.path)) == 0
    assert len(dls.replay(folder.path, corrected=True)) > 0


def test_a_switch_until_the_end_or_the_next_place_is_written_with_its_last_frame(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = made(tmp_path, animals=2)
    numbers = dls.open_run(folder).frames.query("analysed")["frame"]
    table = folder / "top.csv"
    rows = pd.read_csv(table, dtype=str, keep_default_na=False)
    rows.loc[rows["frame"] == "6", "flags"] = "anna doubt1; bob doubt1"
    rows.to_csv(table, index=False)

    switch = [str(folder), "switch", "--animals", "anna", "bob"]
    for until, last in (("next", 4), ("end", int(numbers.max()))):
        assert main([*switch, "--frames", "3", "--until", until]) == 0
        assert f"frames 3 to {last} of top" in capsys.readouterr().out
    assert main([*switch, "--frames", "7", "--until", "next"]) == 0
    assert f"frames 7 to {numbers.max()} of top" in capsys.readouterr().out

    assert main([*switch, "--frames", "900", "--until", "end"]) == 2
    assert "no analysed frame from 900 on" in capsys.readouterr().err
    with pytest.raises(SystemExit, match="2"):
        main([*switch, "--frames", "3", "4", "--until", "end"])
    assert "--until: give the first frame" in capsys.readouterr().err


def test_what_does_not_fit_is_a_sentence_and_changes_nothing(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for words, said in (
        (["swap", "--frames", "1", "2", "--animals", "a", "b"], "no animal 'a'"),
        (["remove", "--frames", "900000"], "no analysed frame from 900000"),
        (["remove", "--frames", "1", "--camera", "side"], "no poses of camera 'side'"),
        (["undo", "1"], "has no correction 1"),
    ):
        assert main([str(run), *words]) == 2
        assert said in capsys.readouterr().err
    for words, said in (
        (["remove", "--frames", "1", "2", "3"], "expected first and last"),
        (["remove", "--frames", "1", "--seconds", "2"], "either --frames or --seconds"),
        (["remove"], "either --frames or --seconds"),
    ):
        with pytest.raises(SystemExit, match="2"):
            main([str(run), *words])
        assert said in capsys.readouterr().err
    assert not (run / CORRECTIONS).exists()
    (run / CORRECTIONS).write_text("{", "utf-8")
    with pytest.raises(dls.DeviceError, match=r"corrections\.json can't be read"):
        dls.analyse(run)
    raw = dls.analyse(run, dls.AnalysisOptions(raw=True))
    assert any("can't be read" in note for note in raw.notes)
