"""Programs name the packages that they lack before they begin to work."""

import sys
from importlib import import_module

import pytest


@pytest.mark.parametrize(
    ("program", "arguments", "module", "package"),
    [
        ("TrainClassifier", "made --of run labels.csv", "sklearn", "scikit-learn"),
        ("TrainClassifier", "made --of run labels.csv", "skl2onnx", "skl2onnx"),
        ("ConvertProject", "labels.slp --output made", "yaml", "PyYAML"),
        ("ConvertProject", "labels.slp --output made", "pandas", "pandas"),
        ("PredictVideos", "film.mp4 --model arena --to csv nwb", "pynwb", "pynwb"),
        ("PredictVideos", "film.mp4 --model arena --to parquet", "pyarrow", "pyarrow"),
        ("ExportRun", "run --to nwb", "ndx_pose", "ndx-pose"),
        ("ExportRun", "run --to all", "pyarrow", "pyarrow"),
        ("ExportRun", "run --to bundle", "rocrate", "rocrate"),
        ("EvaluateTracking", "run --truth true.csv", "trackeval", "trackeval"),
        ("LearnAppearance", "made run", "torch", "torch"),
    ],
)
def test_a_missing_package_is_named_as_pip_knows_it_before_the_work(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    program: str,
    arguments: str,
    module: str,
    package: str,
) -> None:
    """None of the files exists: the package is asked for first."""
    main = import_module(f"utils.{program}").main
    monkeypatch.setitem(sys.modules, module, None)
    assert main(arguments.split()) == 2
    message = capsys.readouterr().err
    assert f"needs the package {module!r}: pip install {package}" in message
