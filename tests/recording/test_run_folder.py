import pytest

from deeplabstream.recording.run_folder import stem


@pytest.mark.parametrize(
    ("camera", "file"),
    [
        ("top", "top"),
        ("left/right", "left%2Fright"),
        ("events", "camera_events"),
        ("Aux", "camera_Aux"),
        ("con.old", "camera_con.old"),
        ("COM3", "camera_COM3"),
        ("lpt1 ", "camera_lpt1 "),
        ("console", "console"),
        ("com34", "com34"),
        ("Käfig", "Käfig"),
    ],
)
def test_cameras_get_file_names_that_windows_takes(camera: str, file: str) -> None:
    assert stem(camera) == file
