import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from deeplabstream.core.errors import DeepLabStreamError
from deeplabstream.core.frame import Image
from deeplabstream.core.pose import Pose
from deeplabstream.files.atomic_replace import atomic_file
from deeplabstream.files.exclusive_writing import BeingWrittenError
from deeplabstream.offline import video_inference
from deeplabstream.offline.pose_file_reading import read_poses
from deeplabstream.offline.prefetch import ahead
from deeplabstream.offline.video_files import stems, video_files
from deeplabstream.offline.video_inference import (
    PartialRows,
    PrecomputedEstimator,
    predict,
)
from deeplabstream.pose.per_camera import PerCamera
from deeplabstream.recording.exporters.pose_files import WRITERS
from deeplabstream.video.video_reader import open_video
from tests.offline.films import DotFinder, dot_at, dotted, spoil, write_film
from utils.PredictVideos import main


class Interrupted(DotFinder):
    """Is killed after a few pictures."""

    def estimate(
        self, images: "list[Image]", cameras: "tuple[str, ...]" = ()
    ) -> "list[Pose]":
        if self.estimated + len(images) > 20:
            raise KeyboardInterrupt
        return super().estimate(images)


def test_each_frame_has_a_row_with_the_dot(tmp_path: Path) -> None:
    film = write_film(tmp_path / "film.mp4", frames=37)
    told: list[tuple[int, int]] = []
    found = predict(
        film, DotFinder(), "dots", batch=5, watch=lambda *done: told.append(done)
    )
    assert found.table.points.shape == (37, 1, 1, 2)
    expected = [dot_at(row) for row in range(37)]
    np.testing.assert_allclose(found.table.points[:, 0, 0], expected, atol=0.6)
    assert (found.table.confidence > 0.8).all()
    assert found.lost == found.resumed == 0
    assert told[0] == (0, 37)
    assert told[-1] == (37, 37)


def test_a_frame_that_is_lost_is_a_row_of_nan(tmp_path: Path) -> None:
    film = write_film(tmp_path / "film.mov", codec="mjpeg")
    spoil(film, [3])
    found = predict(film, DotFinder(), "dots", batch=4)
    assert found.table.points.shape[0] == 20
    lost = np.isnan(found.table.confidence[:, 0, 0])
    assert found.lost == 1
    assert np.flatnonzero(lost).tolist() == [3]
    np.testing.assert_allclose(found.table.points[4, 0, 0], dot_at(4), atol=0.6)


def test_an_interrupted_prediction_goes_on_where_it_was(tmp_path: Path) -> None:
    film, partial = write_film(tmp_path / "film.mp4", frames=60), tmp_path / "rows"
    with pytest.raises(KeyboardInterrupt):
        predict(film, Interrupted(), "dots", batch=4, partial=partial)
    with partial.open("ab") as file:
        file.write(b"half")  # of a row that was being written
    finder = DotFinder()
    found = predict(film, finder, "dots", batch=4, partial=partial)
    assert 0 < found.resumed <= 20
    assert finder.estimated == 60 - found.resumed + 1  # one picture to ask how many
    again = predict(film, DotFinder(), "dots", batch=4, partial=partial)
    assert again.resumed == 60  # killed before its tables were written
    np.testing.assert_array_equal(again.table.points, found.table.points)
    whole = predict(film, DotFinder(), "dots")
    np.testing.assert_array_equal(found.table.points, whole.table.points)
    other = DotFinder(sha256="another network")
    assert predict(film, other, "dots", partial=partial).resumed == 0


def test_labels_that_do_not_fit_are_told_before_anything_is_predicted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    film = write_film(tmp_path / "film.mp4", frames=3)
    labels = "models/openfield/check/m3v1mp4.csv"
    words = [str(film), "--model", "openfield", "--runtime", "cpu", "--labels", labels]
    assert main([*words, "--columns", "snout", "elbow"]) == 2
    assert "do not share the body part elbow" in capsys.readouterr().err
    assert [file.name for file in tmp_path.iterdir()] == ["film.mp4"]


@pytest.mark.parametrize("mirrored", [(), ("--mirrored", "_top", "_bot")])
def test_labels_give_the_error_tables_of_lightning_pose(
    tmp_path: Path, mirrored: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    film = write_film(tmp_path / "film.mp4", frames=3)
    model, labels = "openfield", Path("models/openfield/check/m3v1mp4.csv")
    if mirrored:
        model, labels = str(tmp_path / "mirrored"), _mirrored(tmp_path, labels)
    words = [str(film), "--model", model, "--runtime", "cpu", "--labels", str(labels)]
    assert main([*words, *mirrored]) == 0
    assert "Traceback" not in capsys.readouterr().err
    named = ["pca_singleview_error", *(["pca_multiview_error"] if mirrored else [])]
    for name in named:
        table = pd.read_csv(tmp_path / f"film_{name}.csv", index_col=0)
        assert table.shape == (3, 4)
        assert np.isfinite(table.to_numpy()).all()


def _mirrored(folder: Path, labels: Path) -> Path:
    """Return labels of two points in two views, and write the network of their names."""
    names = {"snout": "a_top", "leftear": "b_top", "rightear": "a_bot"}
    names["tailbase"] = "b_bot"
    shutil.copytree("models/openfield", folder / "mirrored")
    file = folder / "mirrored" / "model.json"
    said = json.loads(file.read_text("utf-8"))
    said["skeleton"] = {"bodyparts": list(names.values()), "bones": []}
    file.write_text(json.dumps(said), "utf-8")
    text = labels.read_text("utf-8")
    for old, new in names.items():
        text = text.replace(old, new)
    (folder / "CollectedData.csv").write_text(text, "utf-8")
    return folder / "CollectedData.csv"


def test_what_goes_wrong_ahead_is_raised_where_it_is_used() -> None:
    def pieces() -> "list[int]":
        yield 1  # type: ignore[misc]
        raise ValueError("the third")

    with ahead(pieces(), 2) as given, pytest.raises(ValueError, match="the third"):
        list(given)
    with ahead(iter(range(10**9)), 2) as endless:
        assert next(endless) == 0


@pytest.mark.parametrize("kind", ["csv", "h5", "parquet"])
def test_what_is_written_reads_back(tmp_path: Path, kind: str) -> None:
    film = write_film(tmp_path / "film.mp4", frames=9)
    table = predict(film, DotFinder(), "dots").table
    WRITERS[kind](table, tmp_path / f"film.{kind}")
    back = read_poses(tmp_path / f"film.{kind}")
    assert back.skeleton.bodyparts == ("dot",)
    np.testing.assert_allclose(back.points, table.points, rtol=1e-6)
    np.testing.assert_allclose(back.confidence, table.confidence, rtol=1e-6)


def test_sleaps_labels_have_what_was_seen(tmp_path: Path) -> None:
    import sleap_io

    film = write_film(tmp_path / "film.mov", codec="mjpeg")
    spoil(film, [3])
    table = predict(film, DotFinder(), "dots").table
    WRITERS["slp"](table, tmp_path / "film.slp")
    labels = sleap_io.load_slp(str(tmp_path / "film.slp"))
    rows = [row for row in range(20) if row != 3]
    assert [frame.frame_idx for frame in labels] == rows
    found = [frame.instances[0].numpy() for frame in labels]
    np.testing.assert_allclose(found, table.points[rows, 0], rtol=1e-6)
    assert labels.video.shape[:3] == (20, 48, 64)


def test_nwb_has_every_frame_and_its_time(tmp_path: Path) -> None:
    from pynwb import NWBHDF5IO

    film = write_film(tmp_path / "film.mp4", frames=9)
    WRITERS["nwb"](predict(film, DotFinder(), "dots").table, tmp_path / "film.nwb")
    with NWBHDF5IO(str(tmp_path / "film.nwb"), "r") as reader:
        poses = reader.read().processing["behavior"]["video"]
        series = poses.pose_estimation_series["dot"]
        assert series.data.shape == (9, 2)
        assert [*poses.original_videos] == ["film.mp4"]
        assert (series.starting_time, series.rate) == (0, pytest.approx(50))


def test_nwb_of_a_video_has_its_poses_once(tmp_path: Path) -> None:
    """keypoint-moseq reads all pose estimations of a file, one of each animal."""
    from ndx_pose import PoseEstimation
    from pynwb import NWBHDF5IO

    film = write_film(tmp_path / "film.mp4", frames=3)
    WRITERS["nwb"](predict(film, DotFinder(), "dots").table, tmp_path / "film.nwb")
    with NWBHDF5IO(str(tmp_path / "film.nwb"), "r") as reader:
        everything = reader.read().all_children()
        found = [part for part in everything if isinstance(part, PoseEstimation)]
        assert [poses.name for poses in found] == ["video"]


def test_the_program_predicts_a_folder_and_leaves_alone_what_is_done(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    films = tmp_path / "films"
    films.mkdir()
    write_film(films / "one.mp4", frames=5)
    write_film(films / "one.avi", frames=6, codec="mjpeg")
    (films / "broken.mkv").write_bytes(b"nothing")
    (films / "notes.txt").write_text("no film")
    words = [str(films), "--model", "stand-in:0", "--to", "csv", "h5"]
    assert main([*words, "--output", str(tmp_path / "out")]) == 1
    assert "broken.mkv is not a readable video" in capsys.readouterr().err
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        f"one_{kind}{ending}"
        for kind in ("mp4", "avi")
        for ending in (".csv", ".h5", "_temporal_norm.csv", ".prediction.json")
    }
    table = pd.read_csv(tmp_path / "out/one_avi.csv", header=[0, 1, 2], index_col=0)
    assert table.shape == (6, 12)
    jumps = pd.read_csv(tmp_path / "out/one_avi_temporal_norm.csv", index_col=0)
    assert jumps.shape == (6, 4)
    assert jumps.iloc[0].isna().all()
    main([*words, "--output", str(tmp_path / "out")])
    assert capsys.readouterr().out.count("is already predicted") == 2


def test_tables_of_another_network_are_kept_and_missing_ones_written_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    film = write_film(tmp_path / "film.mp4", frames=4)
    assert main([str(film), "--model", "stand-in:0"]) == 0
    first = (tmp_path / "film.csv").read_bytes()
    (tmp_path / "film.h5").write_text("of another program")
    other = [str(film), "--model", "arena", "--runtime", "cpu"]
    assert main([str(film), "--model", "stand-in:0", "--to", "csv", "h5"]) == 1
    assert "film.h5 already exists" in capsys.readouterr().err
    assert main(other) == 1
    assert "film.csv already exists" in capsys.readouterr().err
    assert (tmp_path / "film.csv").read_bytes() == first
    assert (tmp_path / "film.h5").read_text() == "of another program"
    (tmp_path / "film.csv").unlink()
    assert main([str(film), "--model", "stand-in:0"]) == 0
    assert (tmp_path / "film.csv").read_bytes() == first
    assert main([*other, "--overwrite"]) == 0
    assert (tmp_path / "film.csv").read_bytes() != first


def test_formats_that_are_written_one_after_the_other_are_all_known(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    film = write_film(tmp_path / "film.mp4", frames=3)
    words = [str(film), "--model", "stand-in:0", "--no-metrics", "--to"]
    for kind in ("csv", "h5"):
        assert main([*words, kind]) == 0
    before = (tmp_path / "film.csv").stat().st_mtime_ns
    capsys.readouterr()
    assert main([*words, "csv", "h5"]) == 0
    assert "is already predicted" in capsys.readouterr().out
    assert (tmp_path / "film.csv").stat().st_mtime_ns == before
    (tmp_path / "film.h5").unlink()
    assert main([*words, "parquet"]) == 0
    (tmp_path / "film.h5").write_text("of another program")
    assert main([*words, "h5"]) == 1
    assert "film.h5 already exists" in capsys.readouterr().err


@pytest.mark.parametrize("partial", [False, True])
def test_another_format_of_another_network_replaces_no_file_of_the_first(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], partial: bool
) -> None:
    film = write_film(tmp_path / "film.mp4", frames=3)
    assert main([str(film), "--model", "stand-in:0"]) == 0
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    (tmp_path / "film_identity.csv").write_text("frame,time_s\n")
    if partial:
        (tmp_path / "film.partial").write_text("{}\n")
    other = [str(film), "--model", "arena", "--runtime", "cpu", "--to", "h5"]
    for gone in ("film_temporal_norm.csv", "film.prediction.json", "film_identity.csv"):
        assert main(other) == 1
        assert f"{gone} already exists" in capsys.readouterr().err
        (tmp_path / gone).unlink()
    assert (tmp_path / "film.csv").read_bytes() == before["film.csv"]
    assert not (tmp_path / "film.h5").exists()
    assert main(other) == 0


def test_an_interrupted_overwriting_continues_without_the_option(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    film = write_film(tmp_path / "film.mp4", frames=3)
    assert main([str(film), "--model", "stand-in:0"]) == 0
    other = [str(film), "--model", "arena", "--runtime", "cpu"]

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setitem(WRITERS, "csv", full)
        assert main([*other, "--overwrite"]) == 1
    assert (tmp_path / "film.partial").is_file()
    assert main(other) == 0
    assert "continued at frame 3" in capsys.readouterr().out


def test_a_full_disk_is_an_error_before_rows_are_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with PartialRows(tmp_path / "rows", {}, (2,)) as kept:
        kept.append(np.zeros((2, 2), np.float32))
        writer = kept._file

        class Limited:
            """Writes a part, then nothing, as at a limit of a file's size."""

            def __init__(self) -> None:
                self.calls = 0

            def write(self, stored: bytes) -> int:
                self.calls += 1
                if self.calls > 2:
                    raise OSError(27, "File too large")
                return writer.write(stored[:5])

            def close(self) -> None:
                writer.close()

        monkeypatch.setattr(kept, "_file", Limited())
        with pytest.raises(OSError, match="File too large"):
            kept.append(np.ones((2, 2), np.float32))
    with PartialRows(tmp_path / "rows", {}, (2,)) as kept:
        assert kept.read().tolist() == [[0, 0], [0, 0], [1, 1]]


def test_two_programs_that_predict_one_video_mix_no_rows(tmp_path: Path) -> None:
    path = tmp_path / "film.partial"
    with PartialRows(path, {}, (2,)) as first:
        first.append(np.full((3, 2), 1, np.float32))
        with PartialRows(path, {}, (2,)) as second:
            assert second.rows == 0
            first.append(np.full((2, 2), 2, np.float32))
            second.append(np.full((1, 2), 7, np.float32))
            assert second.read().tolist() == [[7, 7]]
            if sys.platform != "win32":
                path.unlink()  # a third is done
        assert first.read().tolist() == [[1, 1]] * 3 + [[2, 2]] * 2
    path.unlink(missing_ok=True)
    assert not [*tmp_path.iterdir()]
    with PartialRows(path, {}, (2,)) as first:
        first.append(np.full((3, 2), 1, np.float32))
    with PartialRows(path, {}, (2,)) as again:
        assert again.rows == 3


def test_a_folder_that_seems_in_use_because_it_cannot_be_written_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On Windows the errors are the same; hours later the poses could not be saved."""

    def refuse(*_: object) -> None:
        raise BeingWrittenError(
            "it is being written, or its folder can't be written to"
        )

    monkeypatch.setattr(video_inference, "exclusive", refuse)
    with pytest.raises(OSError, match="none"):
        PartialRows(tmp_path / "none" / "film.partial", {}, (2,))


def test_rows_that_can_not_be_removed_are_left_to_other_programs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: Path, missing_ok: bool = False) -> None:
        raise PermissionError("another program has it open")

    path = tmp_path / "film.partial"
    kept = PartialRows(path, {}, (2,))
    with monkeypatch.context() as patch, pytest.raises(PermissionError):
        patch.setattr(Path, "unlink", refuse)
        kept.close(done=True)
    with PartialRows(path, {}, (2,)) as again:
        assert again.path == path


def test_a_disk_that_is_full_at_the_end_names_the_video_and_the_others_are_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from tables import HDF5ExtError

    films = [write_film(tmp_path / f"{name}.mp4", frames=3) for name in "ab"]
    words = [*map(str, films), "--model", "stand-in:0", "--to", "h5", "--no-metrics"]
    whole = pd.DataFrame.to_hdf

    def full(table: pd.DataFrame, path: Path, **options: object) -> None:
        if path.stem == "a":
            raise HDF5ExtError("error trace\nNo space left on device\nend of trace")
        whole(table, path, **options)

    with monkeypatch.context() as patched:
        patched.setattr(pd.DataFrame, "to_hdf", full)
        assert main(words) == 1
    said = capsys.readouterr()
    assert f"Can't write the poses of {films[0]}" in said.err
    assert "No space left on device. Repeat the command" in said.err
    assert (tmp_path / "b.h5").is_file()
    assert not (tmp_path / "a.h5").exists()
    assert main(words) == 0
    assert "continued at frame 3" in capsys.readouterr().out
    assert len(read_poses(tmp_path / "a.h5")) == 3


def test_what_is_not_there_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(tmp_path / "no.mp4"), "--model", "arena"]) == 2
    assert "there is no such video or folder" in capsys.readouterr().err
    (tmp_path / "empty").mkdir()
    assert main([str(tmp_path / "empty"), "--model", "arena"]) == 2
    assert "contains no video" in capsys.readouterr().err
    (tmp_path / "empty" / "img1.png").touch()
    assert main([str(tmp_path / "empty"), "--model", "arena"]) == 2
    assert "It has images, whose poses PredictFrames" in capsys.readouterr().err
    film = write_film(tmp_path / "film.mp4", frames=2)
    assert main([str(film), "--model", "nobody"]) == 2
    assert "there is no model" in capsys.readouterr().err
    labels = tmp_path / "labels.csv"
    labels.write_text("a,b\n1,2\n")
    assert main([str(film), "--model", "arena", "--labels", str(labels)]) == 2
    assert "does not begin with" in capsys.readouterr().err


def test_files_of_alike_names_are_told_apart(tmp_path: Path) -> None:
    one, two = tmp_path / "a.mp4", tmp_path / "a.avi"
    assert stems([one, two]) == {one: "a_mp4", two: "a_avi"}
    with pytest.raises(DeepLabStreamError, match="same name"):
        stems([one, tmp_path / "other/a.mp4"])
    one.touch()
    assert video_files([one, one]) == [one]


def test_a_file_that_was_not_finished_does_not_get_its_name(tmp_path: Path) -> None:
    def write() -> None:
        with atomic_file(tmp_path / "table.csv") as making:
            making.write_text("half")
            raise ValueError("halfway")

    with pytest.raises(ValueError, match="halfway"):
        write()
    assert list(tmp_path.iterdir()) == []


class Remembering(DotFinder):
    """Notes whose pictures it got, and how many at once."""

    def __init__(self) -> None:
        super().__init__()
        self.got: list[tuple[str, ...]] = []

    def estimate(
        self, images: "list[Image]", cameras: "tuple[str, ...]" = ()
    ) -> "list[Pose]":
        self.got.append(tuple(cameras))
        return super().estimate(images)


def test_a_rigs_network_is_told_the_camera_and_a_videos_is_not(tmp_path: Path) -> None:
    rows = open_video(write_film(tmp_path / "film.mp4", frames=6))
    usual, own = Remembering(), Remembering()
    foreseen = PrecomputedEstimator(PerCamera(usual, {"top": own}))
    for frame in foreseen.frames(rows.images(), "top", batch=4):
        (pose,) = foreseen.estimate([frame.image])
        x, y = dot_at(frame.index)
        np.testing.assert_allclose(pose.points[0, 0], [x, y], atol=0.6)
    assert own.got == [("top",) * 4, ("top",) * 2]
    assert usual.got == []
    alone = Remembering()
    predict(rows.path, alone, "dots", batch=4)
    assert set(alone.got) == {()}


def test_sleap_can_read_it(tmp_path: Path) -> None:
    import h5py

    film = write_film(tmp_path / "film.mp4", frames=9)
    WRITERS["analysis.h5"](predict(film, DotFinder(), "dots").table, tmp_path / "a.h5")
    with h5py.File(tmp_path / "a.h5") as file:
        assert file["tracks"].shape == (1, 2, 1, 9)
        np.testing.assert_allclose(file["tracks"][0, :, 0, 4], dot_at(4), atol=0.6)
        assert [name.decode() for name in file["node_names"]] == ["dot"]


def _film_without_losses(path: Path, shift: int) -> Path:
    """Write frames whose file has the same size for every `shift`."""
    draw = lambda row: np.roll(dotted(row), shift, axis=1)  # noqa: E731
    return write_film(path, draw, frames=3, codec="rawvideo")


def test_poses_of_a_replaced_video_of_equal_size_are_not_those_of_the_new_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    film = _film_without_losses(tmp_path / "film.avi", 0)
    size = film.stat().st_size
    words = [str(film), "--model", "stand-in:0", "--no-metrics"]
    assert main(words) == 0
    before = (tmp_path / "film.csv").read_bytes()
    assert main(words) == 0
    assert "is already predicted" in capsys.readouterr().out
    _film_without_losses(film, 5)
    assert film.stat().st_size == size
    assert main(words) == 1
    assert "film.csv already exists" in capsys.readouterr().err
    assert (tmp_path / "film.csv").read_bytes() == before
    assert main([*words, "--overwrite"]) == 0
    assert main(words) == 0
    assert "is already predicted" in capsys.readouterr().out


def test_a_prediction_of_an_earlier_version_is_matched_by_size(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    film = write_film(tmp_path / "film.mp4", frames=3)
    words = [str(film), "--model", "stand-in:0"]
    assert main(words) == 0
    facts = tmp_path / "film.prediction.json"
    told = json.loads(facts.read_text("utf-8"))
    for later in ("samples_sha256", "metrics"):
        del told[later]
    facts.write_text(json.dumps(told), "utf-8")
    assert main(words) == 0
    assert "is already predicted" in capsys.readouterr().out
    assert main([*words, "--to", "h5"]) == 0


def test_metrics_of_another_program_are_not_replaced_by_a_second_format(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    film = write_film(tmp_path / "film.mp4", frames=3)
    words = [str(film), "--model", "stand-in:0"]
    assert main([*words, "--no-metrics"]) == 0
    theirs = tmp_path / "film_temporal_norm.csv"
    theirs.write_text("of Lightning Pose")
    assert main([*words, "--to", "h5"]) == 1
    assert "film_temporal_norm.csv already exists" in capsys.readouterr().err
    assert theirs.read_text() == "of Lightning Pose"
    assert main([*words, "--to", "h5", "--no-metrics"]) == 0
    assert theirs.read_text() == "of Lightning Pose"
    theirs.unlink()
    assert main([*words, "--to", "parquet"]) == 0
    assert main([*words, "--to", "analysis.h5", "--no-metrics"]) == 0
    assert main([*words, "--to", "slp"]) == 0
