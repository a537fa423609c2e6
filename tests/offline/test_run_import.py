"""A video and poses of another program become a run folder that results take."""

import hashlib
import json
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

import deeplabstream as dls
from deeplabstream.analysis.arena_image import arena_image
from deeplabstream.analysis.plot_style import save_plot
from deeplabstream.analysis.plots import plot
from deeplabstream.analysis.region_list import RegionOfInterest, write_places
from deeplabstream.analysis.report import write_run_report
from deeplabstream.core.errors import DeepLabStreamError
from deeplabstream.core.pose import Skeleton
from deeplabstream.core.regions import parse_region
from deeplabstream.offline.pose_file_reading import read_poses
from deeplabstream.offline.uncertain_frames import of_run
from deeplabstream.recording.exporters.exports import EXPORTS, export
from deeplabstream.recording.exporters.pose_files import WRITERS
from deeplabstream.recording.pose_table import PoseTable, pose_table
from deeplabstream.recording.run_review import review
from tests.analysis.test_reports import words_of
from tests.offline.films import dot_at, write_film
from utils.AnalyseRuns import main as analyse_runs
from utils.CorrectPoses import main as correct_poses
from utils.ImportRun import main
from utils.VideoAnalyzer import main as analyse_video

SLEAP = Path(__file__).resolve().parents[3] / "shared/data/sleap"
PUPIL = SLEAP.parent / "ibl-pupil"
FRAMES = 20


def dots(animals: int = 1, frames: int = FRAMES) -> PoseTable:
    """The dot is the nose; the tail is 4 px above; the second animal is 3 px to the right."""
    at = np.array([dot_at(row) for row in range(frames)], np.float64)
    points = np.stack([at, at - (0, 4)], axis=1)[:, None]
    shifts = 3.0 * np.arange(animals)[:, None, None] * (1, 0)
    points = points + shifts
    confidence = np.full(points.shape[:3], 0.9)
    names = ("anna", "bob")[:animals] if animals > 1 else ()
    skeleton = Skeleton(("nose", "tail"), animals=names)
    return pose_table(Path("dots.mp4"), skeleton, points, confidence, "net")


@pytest.fixture
def film(tmp_path: Path) -> Path:
    return write_film(tmp_path / "dots.mp4", frames=FRAMES)


def written(folder: Path, kind: str, table: PoseTable) -> Path:
    file = folder / f"dots.{kind}"
    WRITERS[kind](replace(table, source=folder / "dots.mp4"), file)
    return file


@pytest.mark.parametrize("animals", [1, 2])
@pytest.mark.parametrize("kind", ["csv", "h5", "parquet", "analysis.h5", "slp"])
def test_poses_of_each_format_are_those_of_the_run(
    tmp_path: Path, film: Path, kind: str, animals: int
) -> None:
    table = dots(animals)
    table.points[5, 0, 1] = np.nan
    table.confidence[5, 0, 1] = 0
    before = hashlib.sha256(film.read_bytes()).hexdigest()
    target = tmp_path / "runs" / "one"
    assert (
        main([str(film), str(written(tmp_path, kind, table)), "--to", str(target)]) == 0
    )
    data = dls.analyse(target).data
    np.testing.assert_allclose(data.points, table.points, atol=1e-4)
    np.testing.assert_allclose(data.t, np.arange(FRAMES) / 50)
    assert data.animals == (table.skeleton.animals or ("animal1",))
    assert data.size == (48, 64)
    # SLEAP has left out what it did not find
    assert data.threshold == (0 if kind in ("analysis.h5", "slp") else 0.6)
    assert hashlib.sha256(film.read_bytes()).hexdigest() == before
    assert (target / "video.mp4").samefile(film)
    assert data.facts["how"] == "imported"
    assert data.facts["accounting"] == []


def test_multi_animal_deeplabcut_with_points_that_belong_to_no_animal(
    tmp_path: Path, film: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    parts = {"mus1": ["nose", "tail"], "mus2": ["nose", "tail"], "single": ["corner"]}
    columns = pd.MultiIndex.from_tuples(
        [
            ("DLC", animal, part, coord)
            for animal, own in parts.items()
            for part in own
            for coord in ("x", "y", "likelihood")
        ],
        names=["scorer", "individuals", "bodyparts", "coords"],
    )
    values = np.tile([10.0, 20.0, 0.9] * 5, (FRAMES, 1))
    values[3:6, :6] = np.nan
    file = tmp_path / "dotsDLC_el.h5"
    pd.DataFrame(values, columns=columns).to_hdf(
        file, key="df_with_missing", format="table", mode="w"
    )
    assert main([str(film), str(file), "--to", str(tmp_path / "a")]) == 0
    assert "left out: single" in capsys.readouterr().out
    data = dls.analyse(tmp_path / "a").data
    assert data.animals == ("mus1", "mus2")
    assert data.skeleton.bodyparts == ("nose", "tail")
    assert np.isnan(data.points[3:6, 0]).all()
    assert np.isfinite(data.points[:, 1]).all()
    only = dls.ImportOptions(tracks=["mus2"])
    made = dls.import_run(film, file, tmp_path / "b", only)
    assert dls.analyse(made.folder.path).data.points.shape == (FRAMES, 1, 2, 2)
    words = [str(film), str(file), "--to", str(tmp_path / "c"), "--tracks", "mus3"]
    assert main(words) == 2
    assert "no animal 'mus3'; its animals: mus1, mus2" in capsys.readouterr().err


def irregular() -> NDArray[np.int64]:
    steps = np.where(np.arange(FRAMES - 1) % 4 == 3, 61, 20)
    return np.concatenate([[0], np.cumsum(steps)])


def test_a_variable_frame_rate_is_honoured(tmp_path: Path) -> None:
    times_ms = irregular().tolist()
    film = write_film(tmp_path / "dots.mkv", frames=FRAMES, times_ms=times_ms)
    poses = written(tmp_path, "csv", dots())
    made = dls.import_run(film, poses, tmp_path / "run")
    data = dls.analyse(made.folder.path).data
    np.testing.assert_allclose(data.t, np.array(times_ms) / 1000, atol=1e-6)
    assert (made.folder.path / "video.mkv").is_file()


def test_times_are_those_that_are_given(
    tmp_path: Path, film: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    poses, table = str(written(tmp_path, "csv", dots())), tmp_path / "times.csv"
    wanted = irregular() / 1000

    def times_of(name: str, *more: str) -> NDArray[np.float64]:
        words = [str(film), poses, "--to", str(tmp_path / name), *more]
        assert main(words) == 0, capsys.readouterr().err
        return dls.analyse(tmp_path / name).data.t

    np.testing.assert_allclose(times_of("fps", "--fps", "500"), np.arange(FRAMES) / 500)
    cameras = json.loads((tmp_path / "fps/run.json").read_text("utf-8"))["cameras"]
    assert cameras["video"]["rate"] == 500
    named = pd.DataFrame({"frame": range(FRAMES), "time_s": wanted + 1700})
    for at, columns in enumerate((["frame", "time_s"], ["time_s"])):
        named[columns].to_csv(table, index=False)
        found = times_of(f"named{at}", "--times", str(table))
        np.testing.assert_allclose(found, wanted, atol=1e-6)
    named["time_s"].to_csv(table, index=False, header=False)
    np.testing.assert_allclose(
        times_of("bare", "--times", str(table)), wanted, atol=1e-6
    )
    for text, said in (
        ("0.1\n0.2\n", "has 2 times for 20 frames"),
        ("time_s\n0.1\nx\n", "expected a number in each line (line 3)"),
        ("0.2\n0.2\n", "the one in line 2 does not"),
        ("a,b\n1,2\n", "expected one column, or a column time_s"),
        ("", "Can't read"),
        ("time_s\n0,5\n1,5\n", "line 2 has 2 cells and the first row 1"),
    ):
        table.write_text(text, "utf-8")
        words = [str(film), poses, "--to", str(tmp_path / "x"), "--times", str(table)]
        assert main(words) == 2
        assert said in capsys.readouterr().err
        assert not (tmp_path / "x").exists()


def test_poses_of_another_length_are_refused_in_one_sentence(
    tmp_path: Path, film: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "run"
    for frames in (FRAMES - 2, FRAMES + 3):
        poses = str(written(tmp_path, "csv", dots(frames=frames)))
        assert main([str(film), poses, "--to", str(target)]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert f"dots.csv has {frames} frames and dots.mp4 has {FRAMES}" in line
        assert f"first {min(frames, FRAMES)} frames of both, add --cut" in line
        assert not target.exists()
    assert main([str(film), poses, "--to", str(target), "--cut"]) == 0
    assert len(dls.analyse(target).data.t) == FRAMES
    assert main([str(film), poses, "--to", str(target), "--cut"]) == 2
    assert "is not empty" in capsys.readouterr().err


def test_frames_after_the_last_animal_have_no_poses_in_sleap(
    tmp_path: Path, film: Path
) -> None:
    poses = written(tmp_path, "slp", dots(frames=FRAMES - 4))
    made = dls.import_run(film, poses, tmp_path / "run")
    assert made.frames == FRAMES
    assert "the last 4 frames have no poses" in made.notes
    assert np.isnan(dls.analyse(tmp_path / "run").data.points[-4:]).all()


@pytest.mark.parametrize(
    ("names", "count"),
    [
        (("individual1", "individual2"), 4),
        (("track_0", "track_1"), 4),
        (("anna", "bob"), 2),
    ],
)
def test_only_animals_with_names_are_the_same_in_two_runs(
    tmp_path: Path, film: Path, names: tuple[str, ...], count: int
) -> None:
    table = dots(animals=2)
    table = replace(table, skeleton=Skeleton(("nose", "tail"), animals=names))
    subjects = set()
    for run in ("one", "two"):
        dls.import_run(film, written(tmp_path, "csv", table), tmp_path / run)
        subjects |= set(dls.analyse(tmp_path / run).table()["animal"])
    assert len(subjects) == count


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("scorer,a\n", "does not begin with the rows scorer, bodyparts and coords"),
        (None, "file not found"),
    ],
)
def test_what_is_no_table_of_poses_is_a_sentence(
    tmp_path: Path, film: Path, content: str | None, said: str
) -> None:
    poses = tmp_path / "poses.csv"
    if content is not None:
        poses.write_text(content, "utf-8")
    with pytest.raises(DeepLabStreamError, match=said):
        dls.import_run(film, poses, tmp_path / "run")
    with pytest.raises(DeepLabStreamError, match="pickle is not a table of poses"):
        (tmp_path / "dots_full.pickle").write_bytes(b"\x80")
        dls.import_run(film, tmp_path / "dots_full.pickle", tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("name", "way_out"),
    [
        ("movement.nc", "to_dlc_file"),
        ("poses.nwb", r"sleap_io\.save_file"),
        ("person_keypoints.json", "TrainNetwork and ConvertProject"),
        ("Raw data-Trial 1.xlsx", "Centre points without body parts"),
        ("dots_full.pickle", "writes a .h5 beside it"),
    ],
)
def test_files_of_other_programs_are_refused_with_the_way_out(
    tmp_path: Path, film: Path, name: str, way_out: str
) -> None:
    (tmp_path / name).write_bytes(b"\x80")
    with pytest.raises(DeepLabStreamError, match=way_out):
        dls.import_run(film, tmp_path / name, tmp_path / "run")


def test_a_table_without_rows_is_named(tmp_path: Path, film: Path) -> None:
    file = tmp_path / "header.csv"
    file.write_text("scorer,a,a\nbodyparts,nose,nose\ncoords,x,y\n", "utf-8")
    with pytest.raises(DeepLabStreamError, match=r"header\.csv has less than two fr"):
        dls.import_run(film, file, tmp_path / "run")


def test_the_run_is_analysed_corrected_exported_and_found(
    tmp_path: Path, film: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = tmp_path / "runs"
    target = root / "m3"
    poses = str(written(tmp_path, "csv", dots()))
    words = "--animal M3 --group treated --experiment field --mm-per-pixel 0.5"
    words += " --started 2026-11-01T10:30 --camera top --video copy"
    assert main([film.as_posix(), poses, "--to", str(target), *words.split()]) == 0
    assert not (target / "top.mp4").samefile(film)
    # found, with what was said of it
    day = date(2026, 11, 1)
    query = dls.RunQuery(
        animal="m3", group="treated", experiment="field", first=day, last=day
    )
    (found,) = dls.RunCatalogue(root).runs(query)
    assert (found.outcome, found.cameras) == ("imported", ("top",))
    assert found.duration_s == pytest.approx(0.38, abs=1e-6)
    # regions that are drawn afterwards
    write_places(
        target, [RegionOfInterest("left", parse_region("rectangle 0 0 17.5 48"))]
    )
    results = dls.analyse(target)
    assert (results.unit, results.subject_of("animal1")) == ("mm", "M3")
    assert results.value("region_time", of="left") == pytest.approx(10 / 50)
    step_mm = np.hypot(1, 1) * 0.5
    assert results.value("distance") == pytest.approx(19 * step_mm, rel=1e-6)
    assert arena_image(results.data) is not None
    save_plot(plot(results, "track"), tmp_path / "track.svg")
    table = str(tmp_path / "all.csv")
    assert analyse_runs([str(root), "--group", "treated", "--table", table]) == 0
    assert pd.read_csv(table)["animal"].tolist() == ["M3"]
    # corrections
    words = "set --frames 4 --bodyparts nose --position 1 2"
    assert correct_poses([str(target), *words.split()]) == 0
    assert dls.analyse(target).data.points[4, 0, 0].tolist() == [1, 2]
    # exports, the page Runs, labelling of uncertain frames
    files = {file.name for file in export(target, list(EXPORTS))}
    assert {"top.dlc.csv", "top.slp", "run.nwb", "top.labelled.mkv"} <= files
    corrected = dots().points.copy()
    corrected[4, 0, 0] = 1, 2
    np.testing.assert_allclose(
        read_poses(target / "export/top.dlc.csv").points, corrected, atol=1e-4
    )
    shown = review(target)
    assert shown.video_frame_of("top", 3) == (target / "top.mp4", 3)
    assert [each.video.name for each in of_run(target)] == ["top.mp4"]
    words = words_of(write_run_report(target, tmp_path / "report.html"))
    assert "Imported: the video dots.mp4 with the poses of dots.csv" in words
    assert "The run ended" not in words
    assert "exposed to decided" not in words
    # nothing was decided
    capsys.readouterr()
    assert analyse_video(["--run", str(target)]) == 2
    assert "was imported and has no decisions" in capsys.readouterr().err


@pytest.mark.filterwarnings("error")
def test_many_body_parts_are_corrected_without_a_warning(
    tmp_path: Path, film: Path
) -> None:
    few = dots(animals=2)
    parts = tuple(f"part{n}" for n in range(60))
    many = pose_table(
        few.source, Skeleton(parts, animals=few.skeleton.animals),
        np.repeat(few.points[:, :, :1], 60, axis=2),
        np.repeat(few.confidence[:, :, :1], 60, axis=2), "net",
    )  # fmt: skip
    made = dls.import_run(film, written(tmp_path, "csv", many), tmp_path / "run")
    dls.correct(made.folder.path, "swap", (3, 5), animals=("anna", "bob"))
    points = dls.analyse(made.folder.path).data.points
    np.testing.assert_allclose(points[4], many.points[4, ::-1], atol=1e-4)
    np.testing.assert_allclose(points[6], many.points[6], atol=1e-4)


def test_a_video_that_is_only_referred_to(tmp_path: Path, film: Path) -> None:
    options = dls.ImportOptions(video="reference")
    poses = written(tmp_path, "csv", dots())
    made = dls.import_run(film, poses, tmp_path / "run", options)
    assert not list(made.folder.path.glob("*.mp4"))
    results = dls.analyse(made.folder.path)
    assert arena_image(results.data) is not None
    film.unlink()
    assert arena_image(results.data) is None


def test_poses_outside_of_the_image_are_reported(tmp_path: Path, film: Path) -> None:
    table = dots()
    table.points[:] *= 10
    made = dls.import_run(film, written(tmp_path, "csv", table), tmp_path / "run")
    assert any("lie outside of the image (64 × 48)" in note for note in made.notes)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"fps": 0.0}, "fps = 0.0: must be above 0"),
        ({"fps": 1.0, "times": Path("t")}, "either"),
        ({"threshold": 1.5}, "from 0 to 1"),
        ({"age": "ten"}, "age = ten: expected a duration"),
        ({"camera": "a]\nb"}, "can't be the name of a camera"),
    ],
)
def test_options_that_do_not_fit_are_refused(
    options: dict[str, object], said: str
) -> None:
    with pytest.raises(DeepLabStreamError, match=said):
        dls.ImportOptions(**options)  # type: ignore[arg-type]


@pytest.mark.skipif(not SLEAP.is_dir(), reason="SLEAP's data are not there")
@pytest.mark.filterwarnings("ignore")  # of sleap-io
@pytest.mark.parametrize(
    ("video", "poses"),
    [("clip.mp4", "clip.slp"), ("labels/dance.mp4", "labels/dance.mp4.labels.slp")],
)
def test_real_files_of_sleap_have_the_points_that_sleap_io_reads(
    tmp_path: Path, video: str, poses: str
) -> None:
    import sleap_io

    labels = sleap_io.load_slp(str(SLEAP / poses), open_videos=False)
    untracked = not labels.tracks
    wanted = labels.numpy(untracked=untracked, return_confidence=True)
    analysis = tmp_path / "own.analysis.h5"
    options = dls.ImportOptions(video="reference")
    if not untracked:
        sleap_io.save_analysis_h5(labels, str(analysis))
        stored = read_poses(analysis).points
        np.testing.assert_allclose(stored, wanted[..., :2], atol=1e-6)
    made = dls.import_run(SLEAP / video, SLEAP / poses, tmp_path / "run", options)
    data = dls.analyse(made.folder.path).data
    np.testing.assert_allclose(data.points, wanted[..., :2], atol=1e-3)
    assert data.animals == (tuple(t.name for t in labels.tracks) or ("animal1",))


@pytest.mark.skipif(not PUPIL.is_dir(), reason="IBL's data are not there")
def test_a_real_table_of_lightning_pose_has_the_points_that_movement_reads(
    tmp_path: Path,
) -> None:
    from movement.io.load_poses import from_lp_file

    poses = sorted(PUPIL.glob("*.csv"))[0]
    theirs = from_lp_file(poses, fps=30)
    wanted = theirs.position.transpose("time", "individuals", "keypoints", "space")
    film = write_film(tmp_path / "pupil.mp4", frames=len(wanted), rate=30)
    made = dls.import_run(film, poses, tmp_path / "run", dls.ImportOptions(threshold=0))
    data = dls.analyse(made.folder.path).data
    assert list(data.skeleton.bodyparts) == theirs.keypoints.values.tolist()
    np.testing.assert_allclose(data.points, wanted.values, rtol=1e-6)
    np.testing.assert_allclose(data.t, theirs.time.values, atol=1e-3)
    sure = theirs.confidence.transpose("time", "individuals", "keypoints").values
    np.testing.assert_allclose(data.confidence, sure, atol=1e-6)


def sleap_labels(path: Path, tracks: int, linked: bool, manual: int = 1) -> Path:
    """Write predictions of three frames; frame 1 has `manual` labels without a track."""
    import sleap_io

    skeleton = sleap_io.Skeleton(["a", "b"])
    video = sleap_io.Video(filename="x.mp4", open_backend=False)
    names = [sleap_io.Track(f"fly{n}") for n in range(tracks)]
    frames = []
    for row in range(3):
        found = [
            sleap_io.PredictedInstance.from_numpy(
                np.array([[3.0 + row + 100 * n, 4], [10, 12]]), skeleton=skeleton,
                point_scores=np.array([0.9, 0.9]), score=0.9, track=track,
            )
            for n, track in enumerate(names)
        ]  # fmt: skip
        by_hand = [
            sleap_io.Instance.from_numpy(
                np.array([[50.0 + 100 * n, 60], [np.nan, np.nan]]), skeleton=skeleton
            )
            for n in range(manual if row == 1 else 0)
        ]
        if linked:
            for label, source in zip(by_hand, found[::-1], strict=False):
                label.from_predicted = source
        frames.append(
            sleap_io.LabeledFrame(
                video=video, frame_idx=row, instances=[*found, *by_hand]
            )
        )
    sleap_io.Labels(frames, tracks=names).save(str(path), embed=False)
    return path


@pytest.mark.parametrize(
    ("tracks", "linked", "manual", "wanted"),
    [
        (1, False, 1, [[3, 50, 5]]),
        (1, True, 1, [[3, 50, 5]]),
        (2, True, 1, [[3, 4, 5], [103, 50, 105]]),
        (2, True, 2, [[3, 150, 5], [103, 50, 105]]),
    ],
)
def test_manual_labels_without_a_track_replace_predictions(
    tmp_path: Path, tracks: int, linked: bool, manual: int, wanted: list[list[float]]
) -> None:
    found = read_poses(sleap_labels(tmp_path / "a.slp", tracks, linked, manual))
    assert found.points[:, :, 0, 0].T.tolist() == wanted
    assert found.animals == (("fly0", "fly1") if tracks > 1 else ("animal1",))
    by_hand = found.points[1, :, 0, 0] % 100 == 50
    assert np.isnan(found.points[1, by_hand, 1]).all()  # not visible in the label
    assert found.confidence[1, by_hand].tolist() == [[1, 0]] * manual


@pytest.mark.parametrize(
    ("tracks", "manual", "said"),
    [
        (2, 1, "frame 1 has a manual label without a track.*set its track in SLEAP"),
        (1, 2, "frame 1 has several animals without a track"),
        (0, 2, "frame 1 has several animals without a track"),
    ],
)
def test_manual_labels_of_unknown_animals_are_refused(
    tmp_path: Path, tracks: int, manual: int, said: str
) -> None:
    with pytest.raises(DeepLabStreamError, match=said):
        read_poses(sleap_labels(tmp_path / "a.slp", tracks, False, manual))


@pytest.mark.parametrize("linked", [False, True])
def test_a_manual_label_does_not_replace_another_animal_than_its_own(
    tmp_path: Path, linked: bool
) -> None:
    import sleap_io

    file = sleap_labels(tmp_path / "a.slp", 2, linked)
    labels = sleap_io.load_slp(str(file))
    for frame in labels:
        for one in frame.predicted_instances:
            if one.track is not None and one.track.name == "fly1":
                one.track = None
    labels.tracks = [track for track in labels.tracks if track.name == "fly0"]
    labels.save(str(tmp_path / "b.slp"), embed=False)
    with pytest.raises(DeepLabStreamError, match="frame 1 has a manual label without"):
        read_poses(tmp_path / "b.slp")


@pytest.mark.skipif(not SLEAP.is_dir(), reason="SLEAP's data are not there")
def test_animals_without_tracks_are_refused() -> None:
    with pytest.raises(DeepLabStreamError, match="frame 0 has several animals without"):
        read_poses(SLEAP / "labels/minimal_instance.slp")
