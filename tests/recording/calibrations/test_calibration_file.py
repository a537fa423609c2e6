from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import scipy.io
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from deeplabstream.core.errors import DeepLabStreamError
from deeplabstream.recording.calibrations.calibration_file import (
    FOLDERS,
    WRITERS,
    read_calibration,
    read_stored,
)
from deeplabstream.space.calibrated_camera import CalibratedCamera
from deeplabstream.space.camera_group import CameraGroup
from tests.space.cameras import four_cameras, points_in_arena

DATA = Path(__file__).resolve().parents[4] / "shared/data"

lengths = st.floats(-2000, 2000)
names = st.lists(
    st.text("abcXYZ019_- äß.", min_size=1, max_size=8).filter(
        lambda name: name.strip(" .") == name
    ),
    min_size=2,
    max_size=4,
    unique_by=str.casefold,
)


@st.composite
def groups(draw: Callable[..., object]) -> CameraGroup:
    cameras = []
    for number, name in enumerate(draw(names)):  # type: ignore[arg-type, var-annotated]
        turn = draw(arrays(float, 3, elements=st.floats(-3, 3)))
        moved = draw(arrays(float, 3, elements=lengths))
        moved[0] += 5000 * number
        focal = draw(arrays(float, 2, elements=st.floats(100, 5000)))
        middle = draw(arrays(float, 2, elements=st.floats(0, 2000)))
        lens = draw(arrays(float, 5, elements=st.floats(-3, 3)))
        matrix = np.diag([*focal, 1.0])
        matrix[:2, 2] = middle
        size = draw(st.sampled_from([(0, 0), (480, 640)]))
        rotation = cv2.Rodrigues(turn)[0]
        place = -rotation @ moved
        cameras.append(CalibratedCamera(name, matrix, lens, rotation, place, size))
    return CameraGroup(tuple(cameras))


def assert_same(one: CameraGroup, other: CameraGroup, sizes: bool = True) -> None:
    assert set(one.names) == set(other.names)
    for camera in one.cameras:
        same = other.camera(camera.name)
        np.testing.assert_allclose(same.matrix, camera.matrix, rtol=1e-12, atol=1e-9)
        assert same.distortion.tolist() == camera.distortion.tolist()
        np.testing.assert_allclose(same.rotation, camera.rotation, atol=1e-9)
        assert same.translation.tolist() == camera.translation.tolist()
        assert not sizes or same.size == camera.size


@pytest.mark.parametrize("kind", [kind for kind in WRITERS if kind != "label3d"])
@settings(max_examples=30)
@given(cameras=groups())
def test_what_was_written_is_read_back(
    kind: str, cameras: CameraGroup, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp(kind)
    path = folder if kind in FOLDERS else folder / "calibration.toml"
    WRITERS[kind](cameras, path)
    assert_same(cameras, read_calibration(path, "mm"))


@settings(max_examples=3)  # each starts a process
@given(cameras=groups())
def test_what_was_written_for_matlab_is_read_back(
    cameras: CameraGroup, tmp_path_factory: pytest.TempPathFactory
) -> None:
    file = tmp_path_factory.mktemp("label3d") / "cameras.mat"
    WRITERS["label3d"](cameras, file)
    assert_same(cameras, read_calibration(file, "mm"), sizes=False)


def test_opencv_reads_the_files_that_are_written_for_it(tmp_path: Path) -> None:
    cameras = four_cameras()
    WRITERS["opencv"](cameras, tmp_path)
    stored = cv2.FileStorage(str(tmp_path / "left.yaml"), cv2.FILE_STORAGE_READ)
    left = cameras.camera("left")
    assert stored.getNode("camera_matrix").mat().tolist() == left.matrix.tolist()
    assert stored.getNode("T").mat().ravel().tolist() == left.translation.tolist()
    assert stored.getNode("image_width").real() == 640


def test_files_that_opencv_has_written_are_read(tmp_path: Path) -> None:
    cameras = four_cameras()
    for camera in cameras.cameras:
        stored = cv2.FileStorage(
            str(tmp_path / f"{camera.name}.yml"), cv2.FILE_STORAGE_WRITE
        )
        stored.write("camera_matrix", camera.matrix)
        stored.write("distortion_coefficients", camera.distortion[:, None])
        stored.write("rvec", cv2.Rodrigues(camera.rotation)[0])
        stored.write("tvec", camera.translation[:, None])
        stored.release()
    assert_same(cameras, read_calibration(tmp_path), sizes=False)
    # One file stands for its folder.
    assert len(read_calibration(tmp_path / "left.yml")) == 4


def test_jarvis_and_matlab_store_transposed_matrices(tmp_path: Path) -> None:
    cameras = four_cameras()
    left = cameras.camera("left")
    WRITERS["jarvis"](cameras, tmp_path / "jarvis")
    stored = cv2.FileStorage(str(tmp_path / "jarvis/left.yaml"), cv2.FILE_STORAGE_READ)
    assert stored.getNode("intrinsicMatrix").mat().tolist() == left.matrix.T.tolist()
    assert stored.getNode("R").mat().tolist() == left.rotation.T.tolist()

    WRITERS["label3d"](cameras, tmp_path / "label3d.mat")
    params = scipy.io.loadmat(tmp_path / "label3d.mat")["params"]
    own = params[0, 0][0, 0]
    assert own["r"].tolist() == left.rotation.T.tolist()
    # MATLAB counts pixels from 1.
    assert own["K"][2].tolist() == [321.0, 241.0, 1.0]
    assert own["RDistort"].shape == (1, 3)


def test_files_of_dannce_for_single_cameras_are_read_as_a_folder(
    tmp_path: Path,
) -> None:
    cameras = four_cameras()
    WRITERS["label3d"](cameras, tmp_path / "all.mat")
    stored = scipy.io.loadmat(tmp_path / "all.mat")["params"]
    folder = tmp_path / "calibration"
    folder.mkdir()
    for camera, cell in zip(cameras.cameras, stored.ravel(), strict=True):
        values = {name: cell[name][0, 0] for name in cell.dtype.names}
        scipy.io.savemat(folder / f"{camera.name}_params.mat", values)
    assert_same(cameras, read_calibration(folder), sizes=False)


def test_the_stereo_sample_of_opencv_is_read(tmp_path: Path) -> None:
    left, right, *_ = four_cameras().cameras
    lens = cv2.FileStorage(str(tmp_path / "intrinsics.yml"), cv2.FILE_STORAGE_WRITE)
    place = cv2.FileStorage(str(tmp_path / "extrinsics.yml"), cv2.FILE_STORAGE_WRITE)
    for number, camera in enumerate((left, right), 1):
        lens.write(f"M{number}", camera.matrix)
        lens.write(f"D{number}", camera.distortion[None])
    turned = right.rotation @ left.rotation.T
    moved = right.translation - turned @ left.translation
    place.write("R", turned)
    place.write("T", moved[:, None])
    lens.release()
    place.release()
    cameras = read_calibration(tmp_path)
    assert cameras.names == ("left", "right")
    seen = points_in_arena(20)
    np.testing.assert_allclose(
        cameras.project(left.in_axes(seen))[1], right.project(seen), atol=1e-6
    )


CALISCOPE = """
[cameras.0]
cam_id = 0
size = [1280, 720]
matrix = [[903.5, 0.0, 618.3], [0.0, 907.8, 394.2], [0.0, 0.0, 1.0]]
distortions = [-0.33, 0.04, -0.004, 0.004, 0.06]
translation = [0.17, -0.03, 1.2]
rotation = [0.1, 0.2, 0.3]

[cameras.7]
size = [1280, 720]
matrix = [[760.3, 0.0, 630.0], [0.0, 761.0, 372.2], [0.0, 0.0, 1.0]]
distortions = [0.09, -0.2, 0.0004, -0.002, 0.08]
translation = [-0.29, 0.02, 0.8]
rotation = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]

[cameras.8]
ignore = true
matrix = []
"""


def test_the_file_of_caliscope_is_in_metres(tmp_path: Path) -> None:
    file = tmp_path / "camera_array.toml"
    file.write_text(CALISCOPE, encoding="utf-8")
    cameras = read_calibration(file)
    assert cameras.names == ("cam_0", "cam_7")
    assert cameras.cameras[0].translation.tolist() == [170.0, -30.0, 1200.0]
    assert cameras.cameras[0].size == (720, 1280)


def test_a_unit_that_can_not_be_mm_is_asked_for(tmp_path: Path) -> None:
    file = tmp_path / "calibration.toml"
    WRITERS["aniposelib"](four_cameras().scaled(0.001), file)
    text = file.read_text("utf-8")
    file.write_text(text.partition("[metadata]")[0], "utf-8")
    with pytest.raises(DeepLabStreamError, match=r"does not say its unit.*--unit m"):
        read_calibration(file)
    assert read_calibration(file, "m").largest_baseline == pytest.approx(
        four_cameras().largest_baseline
    )
    assert read_stored(file).unit == ""


def test_a_lens_that_a_format_can_not_hold_is_refused(tmp_path: Path) -> None:
    left, right, *_ = four_cameras().cameras
    matrix = left.matrix.copy()
    matrix[0, 1] = -5.8
    skewed = CameraGroup((replace(left, matrix=matrix), right))
    rational = CameraGroup((replace(left, distortion=np.ones(8) / 100), right))
    for kind in ("aniposelib", "opencv", "jarvis"):
        with pytest.raises(DeepLabStreamError, match=r"left has a skew of -5\.8 px"):
            WRITERS[kind](skewed, tmp_path / kind)
    for kind in ("label3d", "jarvis"):
        with pytest.raises(DeepLabStreamError, match="left has 8 coefficients"):
            WRITERS[kind](rational, tmp_path / kind)
    assert not list(tmp_path.iterdir())
    WRITERS["label3d"](skewed, tmp_path / "skewed.mat")
    assert read_calibration(tmp_path / "skewed.mat").camera("left").skew == -5.8


def test_a_camera_name_that_is_no_file_name_is_refused(tmp_path: Path) -> None:
    left, right, *_ = four_cameras().cameras
    cameras = CameraGroup((replace(left, name="../left"), right))
    with pytest.raises(DeepLabStreamError, match="can't be a file name"):
        WRITERS["opencv"](cameras, tmp_path / "new")
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("rotation = [0.1, 0.2, 0.3]", "", r"cam_0: rotation is missing\. Calibrate"),
        ("rotation = [0.1, 0.2, 0.3]", "rotation = [0.1]", "cam_0: rotation must be"),
        ("rotation = [0.1, 0.2, 0.3]", "rotation = [nan, 0, 0]", "cam_0: rotation has"),
        ("[[903.5, 0.0, 618.3]", "[[618.3]", "cam_0: matrix must be numbers"),
        ("size = [1280, 720]", "size = 3", "cam_0: size = 3: expected width and hei"),
        ("cam_id = 0", "fisheye = true", "cam_0: only lenses with .* no fisheye"),
        ("[-0.29, 0.02, 0.8]", '["a", 1, 2]', "cam_7: translation must be numbers"),
        ("[cameras.0]", "[cameras.0", "can't be read"),
        ("matrix", "lens", "no table of a camera with the key matrix"),
    ],
)
def test_file_camera_and_key_of_a_problem_are_named(
    tmp_path: Path, old: str, new: str, message: str
) -> None:
    file = tmp_path / "camera_array.toml"
    file.write_text(CALISCOPE.replace(old, new), encoding="utf-8")
    with pytest.raises(DeepLabStreamError, match=message) as raised:
        read_calibration(file)
    assert str(raised.value).startswith(str(file))


YAML = """%YAML:1.0
---
camera_matrix: !!opencv-matrix
   rows: 3
   cols: 3
   dt: d
   data: [ 500., 0., 320., 0., 500., 240., 0., 0., 1. ]
R: !!opencv-matrix
   rows: 3
   cols: 3
   dt: d
   data: [ 1., 0., 0., 0., 1., 0., 0., 0., 1. ]
"""


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (YAML, r"T is missing\. Calibrate the positions"),
        (YAML.replace("camera_matrix", "other"), "T is missing"),
        (f"{YAML}T: [1, 2]\n", "translation must be 3 numbers, not 2"),
        (YAML.replace("rows: 3", "rows: 4"), "is not valid YAML"),
        (f"{YAML}image_width: wide\n", "image_width = 'wide': expected a whole"),
        ("- 1\n- 2\n", "it has no keys"),
        ("a: !!python/object:os.system {}\n", "is not valid YAML"),
        ("a: [", "is not valid YAML"),
    ],
)
def test_problems_of_yaml_files_name_the_file(
    tmp_path: Path, text: str, message: str
) -> None:
    (tmp_path / "left.yaml").write_text(text, "utf-8")
    with pytest.raises(DeepLabStreamError, match=message) as raised:
        read_calibration(tmp_path)
    assert "left.yaml" in str(raised.value)


def test_what_is_no_calibration_is_told(tmp_path: Path) -> None:
    with pytest.raises(DeepLabStreamError, match="file not found"):
        read_calibration(tmp_path / "none.toml")
    with pytest.raises(DeepLabStreamError, match="is not a calibration: expected anip"):
        read_calibration(tmp_path)
    (tmp_path / "poses.csv").write_text("a,b\n")
    with pytest.raises(DeepLabStreamError, match="is not a calibration: expected anip"):
        read_calibration(tmp_path / "poses.csv")
    scipy.io.savemat(tmp_path / "other.mat", {"x": 1})
    with pytest.raises(DeepLabStreamError, match="no variable params"):
        read_calibration(tmp_path / "other.mat")
    (tmp_path / "damaged.mat").write_bytes(b"MATLAB 5.0 MAT-file" + bytes(200))
    with pytest.raises(DeepLabStreamError, match=r"damaged\.mat can't be read"):
        read_calibration(tmp_path / "damaged.mat")


def test_a_matrix_that_matlab_would_not_store_so_is_noticed(tmp_path: Path) -> None:
    cameras = four_cameras()
    WRITERS["label3d"](cameras, tmp_path / "a.mat")
    stored = scipy.io.loadmat(tmp_path / "a.mat")
    cell = stored["params"][1, 0]
    cell["K"][0, 0] = cell["K"][0, 0].T
    names = {name: stored[name] for name in ("params", "camnames")}
    scipy.io.savemat(tmp_path / "b.mat", names)
    with pytest.raises(DeepLabStreamError, match="camera right: K is not transposed"):
        read_calibration(tmp_path / "b.mat")


@pytest.mark.skipif(not DATA.is_dir(), reason="needs the real data")
def test_real_calibrations_are_read() -> None:
    label3d = read_calibration(DATA / "3d-mouse/mouse1_label3d.mat")
    assert label3d.names == tuple(f"Camera{number}" for number in range(1, 7))
    assert 300 < label3d.largest_baseline < 3000
    webcams = read_calibration(DATA / "3d-charuco/post_optimization/camera_array.toml")
    assert webcams.names == ("cam_0", "cam_1", "cam_2", "cam_3")
    assert 1000 < webcams.largest_baseline < 2000


@pytest.mark.skipif(not DATA.is_dir(), reason="needs the real data")
def test_two_cameras_with_the_same_values_are_noticed_in_a_real_file() -> None:
    file = DATA / "3d-mouse-video/minimal_session/calibration.toml"
    with pytest.raises(DeepLabStreamError, match="side and top are at the same place"):
        read_calibration(file)
    assert read_calibration(file, names=["back", "mid", "top"]).names[2] == "top"


def test_some_cameras_can_be_chosen_in_any_order(tmp_path: Path) -> None:
    file = tmp_path / "calibration.toml"
    WRITERS["aniposelib"](four_cameras(), file)
    assert read_calibration(file, names=["back", "left"]).names == ("back", "left")
    with pytest.raises(DeepLabStreamError, match=r"no camera top; its .* left, right"):
        read_calibration(file, names=["left", "top"])
