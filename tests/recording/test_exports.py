"""What other programs read is what the run holds: values, times, a row for each frame."""

import errno
import json
import warnings
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import av
import h5py
import numpy as np
import pandas as pd
import pytest

from deeplabstream.core.errors import DeviceError
from deeplabstream.recording import run_opening
from deeplabstream.recording.behaviour_columns import (
    ShownBehaviour,
    behaviour_facts,
    shown_behaviour,
)
from deeplabstream.recording.exporters import boris, exports
from deeplabstream.recording.exporters.boris import COLUMNS, NO_SUBJECT
from deeplabstream.recording.exporters.export_files import ExportFile
from deeplabstream.recording.exporters.exports import (
    EXPORTED_BEFORE,
    EXPORTS,
    export,
)
from deeplabstream.recording.run_folder import RunFolder
from deeplabstream.recording.run_json import validate_facts
from deeplabstream.recording.run_review import review
from deeplabstream.training.behaviour_classifier import read_intervals
from tests.recording import recorded
from tests.recording.small_run import NAMES, SKELETON, START, expected, exposed, made
from utils.ExportRun import main

EXPORTS_OF = dict(EXPORTS)


@pytest.mark.parametrize("kind", ["dlc-csv", "dlc-h5"])
@pytest.mark.parametrize("animals", [1, 2])
def test_deeplabcut_has_a_row_for_each_picture(
    tmp_path: Path, kind: str, animals: int
) -> None:
    paths = export(made(tmp_path, animals), [kind])
    assert [path.name.partition(".")[0] for path in paths] == ["top", "top_2"]
    for path, frames in zip(paths, (range(1, 5), range(5, 10)), strict=True):
        if kind == "dlc-csv":
            header = list(range(3 if animals == 1 else 4))
            table = pd.read_csv(path, header=header, index_col=0)
        else:
            table = pd.DataFrame(pd.read_hdf(path, "df_with_missing"))
        assert list(table.index) == list(range(len(frames)))
        names = ["scorer", "bodyparts", "coords"]
        if animals == 2:
            names.insert(1, "individuals")
        assert list(table.columns.names) == names
        assert table.columns[2] == (
            *("arena", "anna")[: len(names) - 2],
            *("nose", "likelihood"),
        )
        found = table.to_numpy().reshape(len(frames), animals, 2, 3)
        np.testing.assert_allclose(found, expected(frames, animals), rtol=1e-7)


def test_without_a_video_the_rows_are_the_tables(tmp_path: Path) -> None:
    (path,) = export(made(tmp_path, video=False), ["dlc-csv"])
    table = pd.read_csv(path, header=[0, 1, 2], index_col=0)
    found = table.to_numpy().reshape(7, 1, 2, 3)
    np.testing.assert_allclose(found, expected(range(2, 9)), rtol=1e-7)


def test_the_predecessors_layout_has_the_analysed_frames(tmp_path: Path) -> None:
    (path,) = export(made(tmp_path), ["predecessor-csv"])
    assert path.name == "DataOutputtop.csv"
    lines = path.read_text("utf-8").splitlines()
    assert lines[:4] == [
        ";Animal1;Animal1;Animal1;Animal1;Time;Experiment;Experiment",
        ";nose;nose;tail;tail;;Status;Trial",
        ";x;y;x;y;;;",
        "Frame;;;;;;;",
    ]
    assert len(lines) == 4 + 6
    assert lines[4] == "1;;;;;0.0;False;0"  # not sure enough: nothing was seen
    assert lines[8] == "5;1.75;0.875;12.25;0.875;0.167;False;0"


def test_parquet_keeps_every_number(tmp_path: Path) -> None:
    table_path, events_path = export(made(tmp_path), ["parquet"])
    table = pd.read_parquet(table_path)
    assert list(table["frame"]) == list(range(1, 10))
    assert list(table["exposed_ns"]) == [exposed(index) for index in range(1, 10)]
    posed = table[table["analysed"]]
    assert list(posed["posed_ns"]) == [
        exposed(index) + 2 for index in (2, 3, 4, 6, 7, 8)
    ]
    assert list(posed["nose_x"]) == [index / 4 for index in (2, 3, 4, 6, 7, 8)]
    assert list(table["video"]) == ["top.mkv"] * 4 + ["top_2.mkv"] * 5
    assert list(table["video_frame"]) == [*range(4), *range(5)]
    events = pd.read_parquet(events_path)
    assert list(events["written_ns"]) == [START + 7]


@pytest.mark.parametrize("animals", [1, 2])
def test_nwb_has_poses_and_true_times(tmp_path: Path, animals: int) -> None:
    (path,) = export(made(tmp_path, animals), ["nwb"])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from pynwb import NWBHDF5IO

        with NWBHDF5IO(str(path), "r") as reader:
            file = reader.read()
            assert file.session_start_time == datetime(2026, 11, 21, 10, tzinfo=UTC)
            behavior = file.processing["behavior"]
            for animal in range(animals):
                name = "top" if animals == 1 else f"top_{NAMES[animal]}"
                estimation = behavior[name]
                assert list(estimation.original_videos) == ["top.mkv", "top_2.mkv"]
                assert list(estimation.skeleton.nodes) == ["nose", "tail"]
                for part, bodypart in enumerate(SKELETON.bodyparts):
                    series = estimation.pose_estimation_series[bodypart]
                    wanted = expected(range(1, 10), animals)[:, animal, part]
                    np.testing.assert_allclose(series.data[:], wanted[:, :2])
                    np.testing.assert_allclose(series.confidence[:], wanted[:, 2])
                    times = series.timestamps
                    np.testing.assert_allclose(
                        times[:], [(exposed(n) - START) / 1e9 for n in range(1, 10)]
                    )


def test_boris_has_triggers_outputs_and_behaviours(tmp_path: Path) -> None:
    folder = made(tmp_path)
    text = (folder / "events.csv").read_text("utf-8")
    assert "edge" in text  # the output `light`, on from Start Stream
    (path,) = export(folder, ["boris"])
    table = pd.read_csv(path)
    assert list(table.columns) == list(COLUMNS)
    lights = table[table.Behavior == "light"]
    assert lights["Behavioral category"].tolist() == ["output"]
    assert lights["Start (s)"].tolist() == [0.0]
    assert lights.Subject.tolist() == [NO_SUBJECT]
    assert (table["Behavior type"] == "STATE").all()
    assert [found.behaviour for found in read_intervals(path)] == [*table.Behavior]


def test_boris_counts_from_the_start_of_the_only_video(tmp_path: Path) -> None:
    folder = recorded.record(tmp_path / "run")
    run = review(folder)
    (path,) = export(folder, ["boris"])
    table = pd.read_csv(path)
    spans = [
        (lane.kind, lane.name, span.start_s, span.end_s)
        for lane in run.lanes
        for span in lane.spans
        if span.value
    ]
    assert len(table) == len(spans) > 0
    (video,) = {*table["Media file name"]}
    zero_s = run.cameras["top"].of_video(video).times_s[0]
    for kind, name, start_s, end_s in spans:
        own = table[(table["Behavioral category"] == kind) & (table.Behavior == name)]
        assert np.abs(own["Start (s)"] - (start_s - zero_s)).min() < 1e-5
        assert np.abs(own["Stop (s)"] - (end_s - zero_s)).min() < 1e-5


def test_boris_has_behaviours_that_are_likelier_than_not(tmp_path: Path) -> None:
    run = review(made(tmp_path, video=False))
    frames = run.cameras["top"].of_analysis()
    rows = frames.rows.assign(behaviour_rearing=[0.1, 0.6, 0.9, np.nan, 0.2, 0.8])
    changed = replace(run, cameras={"top": replace(frames, rows=rows)})
    at = frames.times_s
    subject = boris._subject(run)
    assert [*boris._behaviours(changed)] == [
        ("behaviour", "rearing", at[1], at[3], subject, ""),
        ("behaviour", "rearing", at[5], at[5], subject, ""),
    ]


def test_boris_has_actor_and_target_of_a_behaviour(tmp_path: Path) -> None:
    run = review(made(tmp_path, 2, video=False))
    one, other = run.skeleton.animals
    frames = run.cameras["top"].of_analysis()
    shown, never = [0.1, 0.6, 0.9, 0.9, 0.2, 0.2], [0.0] * 6
    columns = {
        f"behaviour_{one}>{other}_sniffs": shown,
        f"behaviour_{other}>{one}_sniffs": never,
        f"behaviour_{other}_rears": shown,
    }
    frames = replace(frames, rows=frames.rows.assign(**columns))
    found = boris._behaviours(replace(run, cameras={"top": frames}))
    assert [(it.name, it.subject, it.target) for it in found] == [
        ("sniffs", one, other),
        ("rears", other, ""),
    ]


@pytest.mark.parametrize(
    ("column", "declared", "expected"),
    [
        ("a_b_sniffs", ("b_sniffs", "a", ""), ("b_sniffs", "a", "")),
        ("a_b_sniffs", ("sniffs", "a_b", ""), ("sniffs", "a_b", "")),
        ("a>a_b_sniffs", ("b_sniffs", "a", "a"), ("b_sniffs", "a", "a")),
        ("a_sniffs", ("a_sniffs", "a_b", ""), ("a_sniffs", "a_b", "")),
        ("c_sniffs", None, ("sniffs", "c", "")),
        ("a_b_sniffs", None, ("a_b_sniffs", "", "")),
        ("a>c_sniffs", None, ("sniffs", "a", "c")),
        ("a>a_b_sniffs", None, ("sniffs", "a", "a_b")),
        ("sniffs", None, ("sniffs", "", "")),
    ],
)
def test_a_column_is_divided_as_declared_and_else_only_in_one_way(
    column: str, declared: tuple[str, str, str] | None, expected: tuple[str, str, str]
) -> None:
    animals = replace(SKELETON, animals=("a", "a_b", "c"))
    shown = {column: ShownBehaviour(*declared)} if declared else {}
    facts = json.loads(json.dumps(behaviour_facts(shown)))
    assert validate_facts({**facts})[0].get("behaviours") == facts.get("behaviours")
    assert shown_behaviour(column, facts, animals) == expected


def test_a_damaged_declaration_of_behaviours_is_ignored() -> None:
    facts = {"behaviours": {"c_sniffs": {"behaviour": 3}}}
    animals = replace(SKELETON, animals=("a", "c"))
    assert validate_facts(facts)[1].count("behaviours") == 1
    assert shown_behaviour("c_sniffs", facts, animals) == ("sniffs", "c", "")


def test_a_run_of_a_video_names_that_video_in_sleaps_file(tmp_path: Path) -> None:
    folder, video = made(tmp_path, video=False), tmp_path / "films" / "mouse.mp4"
    facts = json.loads((folder / "run.json").read_text("utf-8"))
    (folder / "run.json").write_text(json.dumps(facts | {"video": str(video)}), "utf-8")
    (path,) = export(folder, ["slp"])
    with h5py.File(path) as file:
        assert json.loads(file["videos_json"][0])["filename"] == str(video)
        assert file["frames"]["frame_idx"].tolist() == [2, 3, 4, 6, 7, 8]


def test_the_poses_are_drawn_into_a_copy_of_the_video(tmp_path: Path) -> None:
    folder = made(tmp_path)
    before = (folder / "top.mkv").read_bytes()
    first, second = export(folder, ["labelled-video"])
    assert (folder / "top.mkv").read_bytes() == before
    with av.open(str(first)) as one, av.open(str(second)) as two:
        assert len(list(one.decode(video=0))) == 4
        drawn = [frame.to_ndarray(format="bgr24") for frame in two.decode(video=0)]
    assert len(drawn) == 5
    colours = [np.ptp(image[:20, :40].astype(int), axis=-1).max() for image in drawn]
    assert colours[0] < 20  # frame 5 was not analysed: nothing is coloured
    assert colours[3] > 60


def test_the_program_writes_all_and_replaces_them_only_on_request(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = made(tmp_path)
    edited = folder / "export" / "top_2.slp"
    edited.parent.mkdir()
    edited.write_text("corrected by hand", "utf-8")
    command = [str(folder), "--to", "all"]
    assert main(command) == EXPORTED_BEFORE
    assert "top_2.slp already exists" in capsys.readouterr().err
    assert [*edited.parent.iterdir()] == [edited], "it said so before it wrote others"
    assert edited.read_text("utf-8") == "corrected by hand"
    for also in (["--output", str(tmp_path / "elsewhere")], ["--overwrite"]):
        assert main([*command, *also]) == 0
        assert len(capsys.readouterr().out.splitlines()) == len(EXPORTS) + 7
        kept = edited.read_bytes() == b"corrected by hand"
        assert kept == ("--output" in also)


def test_what_cannot_be_exported_is_a_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(tmp_path), "--to", "nwb"]) == 2
    assert "is not a run folder" in capsys.readouterr().err
    folder = made(tmp_path)
    table = folder / "top.csv"
    table.write_text(table.read_text("utf-8").splitlines()[0] + "\n", "utf-8")
    assert main([str(folder), "--to", "sleap"]) == 2  # it ended before the first frame
    assert "no poses in" in capsys.readouterr().err
    table.unlink()
    assert main([str(folder), "--to", "dlc-csv"]) == 2
    told = capsys.readouterr().err
    assert "no poses in" in told


def test_a_run_is_exported_to_several_formats(tmp_path: Path) -> None:
    folder = made(tmp_path)
    assert main([str(folder), "--to", "sleap", "slp", "sleap"]) == 0
    names = {file.name for file in (folder / "export").iterdir()}
    assert names == {
        "top.analysis.h5", "top_2.analysis.h5", "top.slp", "top_2.slp"
    }  # fmt: skip


def test_a_killed_run_is_made_whole_when_it_is_opened(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_opening, "OBSERVED_S", 0.0)
    folder = made(tmp_path)
    RunFolder(folder).update(ended=None, how=None)
    with (folder / "top.csv").open("ab") as table:
        table.write(b"9,0.3,1000")  # half a row
    assert main([str(folder), "--to", "sleap"]) == 0
    told = capsys.readouterr().out
    assert "repaired: top.csv: a half-written row was cut off" in told
    assert "repaired: run.json: the run was killed" in told
    assert (folder / "top.csv.damaged").read_bytes().endswith(b"9,0.3,1000")
    assert RunFolder(folder).facts["how"] == "killed"
    assert main([str(folder), "--to", "sleap", "--overwrite"]) == 0
    assert "repaired" not in capsys.readouterr().out
    (folder / "run.json").write_text("{", "utf-8")  # cut in the middle
    assert main([str(folder), "--to", "sleap", "--overwrite"]) == 0
    told = capsys.readouterr().out
    assert "repaired: run.json: could not be read" in told


def test_a_run_that_is_being_written_is_not_repaired(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = made(tmp_path)
    RunFolder(folder).update(ended=None)

    def writes_meanwhile(seconds: float) -> None:
        with (folder / "top.csv").open("ab") as table:
            table.write(b"9,0.3")

    monkeypatch.setattr(run_opening.time, "sleep", writes_meanwhile)
    with pytest.raises(DeviceError, match="is still being written"):
        export(folder, ["sleap"])
    assert RunFolder(folder).facts["ended"] is None


def _full(path: Path, size: int) -> None:
    path.write_bytes(bytes(size))
    raise OSError(errno.ENOSPC, "No space left on device", str(path))


@pytest.mark.parametrize("kind", ["dlc-csv", "slp", "labelled-video"])
def test_an_export_that_fails_leaves_what_was_there_and_no_half_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    folder = made(tmp_path)
    into = folder / "export"
    before = {path: path.read_bytes() for path in export(folder, [kind])}
    entries = sorted(into.iterdir())

    def failing(run: RunFolder, into: Path) -> Iterator[ExportFile]:
        for number, file in enumerate(EXPORTS_OF[kind](run, into)):
            write = partial(_full, size=100) if number else file.write
            yield ExportFile(file.path, write)

    monkeypatch.setitem(exports.EXPORTS, kind, failing)
    with pytest.raises(OSError, match="No space"):
        export(folder, [kind], overwrite=True)
    assert sorted(into.iterdir()) == entries
    first, second = before
    assert second.read_bytes() == before[second]
    assert first.stat().st_size > 100
