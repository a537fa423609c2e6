from pathlib import Path

import pytest

from deeplabstream.core.errors import SettingsError
from deeplabstream.offline.ibl.pipeline import PIPELINES, load_pipeline

SHIPPED = sorted(file.stem for file in PIPELINES.glob("*.ini"))


@pytest.mark.parametrize("name", SHIPPED)
def test_what_is_shipped_is_whole(name: str) -> None:
    plan = load_pipeline(name)
    assert plan.cameras
    assert set(plan.quirks.model_dump().values()) == {"correct"}


def test_the_shipped_cameras_are_ibls() -> None:
    plan = load_pipeline("ibl")
    right = plan.cameras["right"]
    assert (right.size, right.rate, right.flip, right.scale) == (
        (640, 512),
        150,
        True,
        2,
    )
    assert plan.regions["paws"].s_at(60) == 10
    assert plan.regions["paws"].s_at(30) == 100
    assert plan.camera_of(Path("_iblrig_rightCamera.raw.mp4")) == "right"
    assert load_pipeline("ibl_dlc").regions["tail_start"].crop == (220, 220)


def problems(tmp_path: Path, text: str) -> str:
    file = tmp_path / "mine.ini"
    file.write_text(text, "utf-8")
    with pytest.raises(SettingsError) as caught:
        load_pipeline(file)
    return str(caught.value)


def test_every_fault_of_a_pipeline_is_told_at_once(tmp_path: Path) -> None:
    told = problems(
        tmp_path,
        "[Pipelines]\n[Quirks]\nFLIP = upside\n[Camera left]\nSIZE = 10\nRATE = 0\n"
        "REGIONS = nose, eye\nMOTION = whisker\nCOLOUR = red\n"
        "[Region eye]\nNETWORKS = eye-*\nANCHOR = pupil\nMEDIAN = 4\n",
    )
    for sentence in (
        "[Pipelines] is not a section of a pipeline",
        "[Quirks] FLIP = upside: Input should be 'correct' or 'compat'",
        "[Camera left] RATE = 0: Input should be greater than 0",
        "[Camera left] COLOUR = red: is not a key of this section",
        "[Region eye] CROP: is missing, but there is an ANCHOR",
        "[Region eye] MEDIAN: must be odd",
    ):
        assert sentence in told
    camera = "[Camera left]\nSIZE = 10, 10\nRATE = 5\nREGIONS = nose, eye\nMOTION = a\n"
    told = problems(tmp_path, camera + "[Region eye]\nNETWORKS=e\nANCHOR=p\nCROP=5,5\n")
    assert "REGIONS: no section [Region nose]" in told
    assert "MOTION: no section [Motion a]" in told
    assert "[Camera left] DETECT: is missing, but [Region eye] has an ANCHOR" in told
    assert "no [Camera NAME]" in problems(tmp_path, "[Pipeline]\n")
    assert "is not a pipeline" in problems(tmp_path, "no section\n")
    with pytest.raises(SettingsError, match="Can't read"):
        load_pipeline(tmp_path / "nowhere.ini")
