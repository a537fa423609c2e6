"""Programs replace no file that they find: they say so before they begin to work."""

from importlib import import_module
from pathlib import Path

import pytest

NONE = "no_such_network"
LABELS = "no_such_labels.csv"
COMMANDS = {
    "EvaluateNetwork, table": f"utils.EvaluateNetwork --model {NONE} --csv FILE.csv",
    "EvaluateNetwork, report": f"utils.EvaluateNetwork --model {NONE} --report FILE.html",
    "EvaluateNetwork, table beside the report": (
        f"utils.EvaluateNetwork --model {NONE} --report FILE.html",
        "FILE_points.csv",
    ),
    "MotionEnergy": (
        "utils.MotionEnergy FILE.mp4 --region nose:0,0,8,8",
        "FILE.nose.ROIMotionEnergy.npy",
    ),
    "BenchmarkModel": f"utils.BenchmarkModel --model {NONE} --json FILE.json",
    "CheckAnimals, rows": f"utils.CheckAnimals --model {NONE} --json FILE.json",
    "CheckAnimals, sheet": f"utils.CheckAnimals --model {NONE} --sheet FILE.png",
    "EvaluateTracking": "utils.EvaluateTracking none.csv --truth none.csv --json FILE.json",
    "CheckNetwork": (
        f"utils.CheckNetwork --model {NONE} --video none.mp4 --labels {LABELS} "
        "--sheet FILE.png"
    ),
    "PredictFrames": (
        f"utils.PredictFrames --model {NONE} --output . {LABELS}",
        f"{LABELS}/predictions.csv",
    ),
    "SmoothEnsemble": "utils.SmoothEnsemble --tables a.csv b.csv --output FILE.csv",
    "VideoAnalyzer": "utils.VideoAnalyzer --run none --differences FILE.csv",
    "CheckSettings": "utils.CheckSettings --describe FILE.md",
    "DeepLabStream": "DeepLabStream --settings none.ini --json FILE.json",
}
"""Programs that can't do their work here; and which file is there, if no argument."""


@pytest.mark.parametrize("name", COMMANDS)
def test_a_file_that_is_there_is_replaced_only_with_overwrite(
    name: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    told = COMMANDS[name]
    words, file = (told, told.split()[-1]) if isinstance(told, str) else told
    program, *arguments = words.split()
    main = import_module(program).main
    theirs = Path(file)
    theirs.parent.mkdir(exist_ok=True)
    theirs.write_text("theirs", encoding="utf-8")
    assert main(arguments) == 2
    assert f"{theirs.name} already exists" in capsys.readouterr().err
    assert theirs.read_text(encoding="utf-8") == "theirs"
    if program == "utils.CheckSettings":
        assert main([*arguments, "--overwrite"]) == 0
        assert theirs.read_text(encoding="utf-8") != "theirs"
    else:
        assert main([*arguments, "--overwrite"]) == 2
        assert "already exists" not in capsys.readouterr().err


def test_smoothing_videos_replaces_no_table_beside_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    program = import_module("utils.SmoothEnsemble")
    for seed in ("seed0", "seed1"):
        folder = tmp_path / "many" / seed
        folder.mkdir(parents=True)
        shipped = Path(__file__).resolve().parents[2] / "models" / "arena"
        for each in shipped.iterdir():
            (folder / each.name).write_bytes(each.read_bytes())
    video = tmp_path / "mouse.mp4"
    video.write_bytes(b"")
    command = [str(video), "--model", str(tmp_path / "many")]
    for name in ("mouse.seed1.csv", "mouse_eks.csv"):
        theirs = tmp_path / name
        theirs.write_text("theirs", encoding="utf-8")
        assert program.main(command) == 2
        assert f"{name} already exists" in capsys.readouterr().err
        assert theirs.read_text(encoding="utf-8") == "theirs"
        theirs.unlink()


def test_an_int8_network_that_is_there_is_kept(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    program = import_module("utils.QuantiseNetwork")
    shipped = Path(__file__).resolve().parents[2] / "models" / "arena"
    for each in shipped.iterdir():
        (tmp_path / each.name).write_bytes(each.read_bytes())
    theirs = tmp_path / "network.int8.onnx"
    theirs.write_bytes(b"theirs")
    none = str(tmp_path / "none")
    assert program.main(["--model", str(tmp_path), "--pictures", none]) == 2
    assert "network.int8.onnx already exists" in capsys.readouterr().err
    assert theirs.read_bytes() == b"theirs"
