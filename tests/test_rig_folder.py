"""A lab's own folder: plug-ins, networks and experiments of its own, and no silent clash."""

import hashlib
import shutil
import subprocess
import sys
import venv
from pathlib import Path

import pytest

import cameras
from deeplabstream import cli
from deeplabstream.core.errors import DeepLabStreamError, SettingsError
from deeplabstream.files import rig_folder
from deeplabstream.files.paths import ROOT
from deeplabstream.pose.model.model_opening import find_model
from deeplabstream.programs.rehearse_experiment import PROGRAM as REHEARSE
from deeplabstream.settings.example_rig import is_example, make_rig
from deeplabstream.settings.loading import load
from deeplabstream.settings.ready_made import find, ready_made

TRIGGER = '''\
"""A trigger of this lab."""

from pydantic.dataclasses import dataclass as settings

from deeplabstream.plugin import Pose, PoseTrigger


@settings(kw_only=True)
class UpperHalf(PoseTrigger):
    """Holds while all body parts are in the upper half."""

    def holds(self, pose: Pose, time_s: float) -> bool:
        """Look at a pose in which all of them were seen."""
        return bool((pose.select(self.bodyparts)[:, 1] < 240).all())
'''
CAMERA = '''\
"""A camera of this lab."""

from collections.abc import Iterator
from contextlib import contextmanager

from pydantic.dataclasses import dataclass

# earlier versions had the names for plug-ins here, so labs' files import them from here
from deeplabstream import Camera, CameraStream, CapturedFrame, Image, ImageFormat, Pacer


@dataclass(frozen=True, kw_only=True)
class GreyCamera(Camera):
    """Grey images, twenty a second."""

    @contextmanager
    def opened(self) -> Iterator[CameraStream]:
        """Deliver."""
        pacer, index = Pacer(20), -1

        def read(image: Image) -> CapturedFrame:
            nonlocal index
            index += 1
            image[:] = 128
            return CapturedFrame(index, pacer.wait(index))

        yield CameraStream(ImageFormat((120, 160), 20), read)
'''
SETTINGS = """\
[Streaming]
OUTPUT_DIRECTORY = output

[Pose Estimation]
MODEL = stand-in:1

[Camera own]
KIND = GreyCamera

[Trigger upper]
KIND = UpperHalf
BODYPARTS = snout
"""


@pytest.fixture
def rig(tmp_path: Path) -> Path:
    """A new rig folder with a camera and a trigger of its own."""
    folder = make_rig(tmp_path / "left rig")
    (folder / "cameras/grey.py").write_text(CAMERA, encoding="utf-8")
    (folder / "experiments/triggers").mkdir()
    (folder / "experiments/triggers/upper_half.py").write_text(TRIGGER, "utf-8")
    (folder / "settings.ini").write_text(SETTINGS, encoding="utf-8")
    return folder


def test_a_new_rig_has_settings_that_are_right_and_are_its_own(tmp_path: Path) -> None:
    folder = make_rig(tmp_path / "rig")
    settings = load(folder / "settings.ini")
    assert settings.streaming.output_directory == folder / "output"
    text = (folder / "settings.ini").read_text(encoding="utf-8")
    assert "utils/" not in text.split("[Video]")[0]
    assert not is_example(folder / "settings.ini", text)
    names = {each.name for each in folder.iterdir() if each.is_dir()}
    assert names == {"cameras", "experiments", "outputs", "models"}
    assert (folder / "experiments/configs").is_dir()
    assert (folder / "README.md").read_text(encoding="utf-8").startswith("# rig:")


def test_a_folder_with_files_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(DeepLabStreamError, match="is not empty"):
        make_rig(tmp_path)
    assert [each.name for each in tmp_path.iterdir()] == ["notes.txt"]


def test_own_plugins_are_found_beside_the_built_in_ones(rig: Path) -> None:
    settings = load(rig / "settings.ini")
    assert type(settings.cameras["own"]).__name__ == "GreyCamera"
    assert type(settings.new_triggers()["upper"]).__name__ == "UpperHalf"
    load(ROOT / "settings.ini")
    assert list(cameras.__path__) == [str(ROOT / "cameras")]
    with pytest.raises(SettingsError, match="KIND = GreyCamera: unknown"):
        load(shutil.copy(rig / "settings.ini", rig.parent / "elsewhere.ini"))


def test_two_rigs_with_files_of_one_name_are_not_mixed_up(
    rig: Path, tmp_path: Path
) -> None:
    load(rig / "settings.ini")
    other = tmp_path / "other"
    shutil.copytree(rig, other)
    file = other / "cameras/grey.py"
    text = file.read_text(encoding="utf-8")
    file.write_text(text.replace("GreyCamera", "BrightCamera"), encoding="utf-8")
    settings = other / "settings.ini"
    words = settings.read_text(encoding="utf-8")
    with pytest.raises(SettingsError, match="KIND = GreyCamera: unknown"):
        load(settings)
    settings.write_text(words.replace("GreyCamera", "BrightCamera"), encoding="utf-8")
    assert type(load(settings).cameras["own"]).__name__ == "BrightCamera"


@pytest.mark.parametrize(
    ("file", "text", "sentence"),
    [
        ("cameras/webcam.py", CAMERA, r"webcam\.py has the name of .*webcam\.py"),
        ("outputs/board.py", TRIGGER, r"board\.py has the name of .*board: give"),
        (
            "experiments/triggers/region_triggers.py",
            TRIGGER,
            r"region_triggers\.py has the name of .*region_triggers\.py",
        ),
        (
            "cameras/mine.py",
            CAMERA.replace("GreyCamera", "Webcam"),
            r"the class Webcam has the name of a class in .*(webcam|mine)\.py",
        ),
    ],
)
def test_a_name_that_is_taken_is_a_problem_and_nobody_wins(
    rig: Path, file: str, text: str, sentence: str
) -> None:
    (rig / file).write_text(text, encoding="utf-8")
    with pytest.raises(SettingsError, match=sentence):
        load(rig / "settings.ini")


def test_code_in_a_recorded_run_is_not_executed(rig: Path, tmp_path: Path) -> None:
    (rig / "run.json").write_text("{}", encoding="utf-8")
    traced = tmp_path / "executed"
    (rig / "cameras/grey.py").write_text(
        f"open({str(traced)!r}, 'w')\n{CAMERA}", encoding="utf-8"
    )
    with pytest.raises(SettingsError, match="KIND = GreyCamera: unknown"):
        load(rig / "settings.ini")
    assert not traced.exists()


def test_own_networks_and_experiments_come_first(
    rig: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(ROOT / "models/arena", rig / "models/arena")
    own = rig / "experiments/configs/conditional.ini"
    own.write_text("[Experiment]\n", encoding="utf-8")
    assert find_model("arena") == ROOT / "models/arena"
    assert find("conditional", rig) == own
    assert ready_made(rig).keys() >= {"conditional", "optogenetic"}
    monkeypatch.chdir(rig)
    assert find_model("arena") == rig / "models/arena"
    assert find_model("openfield") == ROOT / "models/openfield"


def test_the_rig_is_named_or_the_folder_in_which_one_stands(
    rig: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert REHEARSE.read([]).settings == ROOT / "settings.ini"
    monkeypatch.chdir(rig)
    assert REHEARSE.read([]).settings == rig / "settings.ini"
    monkeypatch.chdir(tmp_path)
    named = REHEARSE.read(["--rig", "left rig"]).settings
    assert named == rig / "settings.ini"
    assert rig_folder.current() == rig
    given = REHEARSE.read(["--rig", "left rig", "--settings", "mine.ini"])
    assert given.settings == Path("mine.ini")


@pytest.mark.parametrize("name", ["run.json", "manifest-sha256.txt"])
def test_a_run_folder_and_an_evidence_bundle_are_no_rig(
    rig: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(rig)
    assert rig_folder.current() == rig
    (rig / name).write_text("")
    assert rig_folder.current() == ROOT
    rig_folder.use_for_settings(rig)
    assert rig_folder.current() == ROOT


def test_an_installed_program_without_a_rig_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(rig_folder, "INSTALLED", True)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as ended:
        REHEARSE.read([])
    assert ended.value.code == 2
    assert "`deeplabstream new FOLDER`" in capsys.readouterr().err


def test_every_program_is_a_sub_command() -> None:
    modules = {command.module for command in cli.COMMANDS.values()}
    files = {f"utils.{file.stem}" for file in (ROOT / "utils").glob("[!_]*.py")}
    assert modules == files | {"app", "DeepLabStream"}
    assert sum(map(len, cli.TASKS.values())) == len(cli.COMMANDS) == len(modules)


def test_the_command_lists_all_and_names_what_was_meant(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert cli.main(["--help"]) == 0
    told = capsys.readouterr().out
    for name in (*cli.TASKS, *cli.COMMANDS):
        assert name in told
    assert max(map(len, told.splitlines())) <= 88
    assert cli.main(["trian"]) == 2
    assert "did you mean train?" in capsys.readouterr().err


@pytest.mark.parametrize(
    "name",
    sorted(
        set(cli.COMMANDS)
        - {
            "alarm",
            "environment",
            "new",
            "page",
            "prune-videos",
            "publish",
            "rack",
            "service",
            "uptime",
        }
    ),
)
def test_every_program_takes_a_rig_and_has_the_command_s_name(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", [*sys.argv])
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    with pytest.raises(SystemExit) as ended:
        cli.main([name, "--help"])
    told = capsys.readouterr().out
    assert ended.value.code == 0
    assert told.startswith(f"usage: deeplabstream {name} ")
    assert "--rig" in told


HEAVY = ("cv2", "torch", "PyQt5", "onnxruntime", "numpy", "pandas")


def test_importing_the_package_or_its_command_loads_no_heavy_package() -> None:
    code = f"""
import sys, deeplabstream, deeplabstream.cli
print([name for name in {HEAVY!r} if name in sys.modules])"""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True
    )
    assert done.stdout.strip() == "[]", done.stderr


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The command of a fresh environment with a wheel of this checkout."""
    pytest.importorskip("setuptools", reason="the wheel is built with setuptools")
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    left = shutil.ignore_patterns("__pycache__", "output", "training_runs", "build")
    source.mkdir()
    for name in ("pyproject.toml", "setup.py", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    for name in ("app.py", "DeepLabStream.py", "settings.ini"):
        shutil.copy(ROOT / name, source)
    for name in ("deeplabstream", "cameras", "experiments", "outputs", "utils"):
        shutil.copytree(ROOT / name, source / name, ignore=left)
    for name in ("models", "firmware", "docs"):
        shutil.copytree(ROOT / name, source / name, ignore=left)
    build = [*PIP, "wheel", "--no-build-isolation", *OFFLINE, "-w", str(folder)]
    _run(*build, str(source), cwd=folder)
    (wheel,) = folder.glob("*.whl")
    environment = folder / "environment"
    venv.create(environment, with_pip=False, symlinks=sys.platform != "win32")
    scripts = environment / ("Scripts" if sys.platform == "win32" else "bin")
    python = scripts / ("python.exe" if sys.platform == "win32" else "python")
    _install(python, wheel)
    packages = Path(_run(str(python), "-c", _SITE, cwd=folder).strip())
    shared = next(path for path in sys.path if path.endswith("site-packages"))
    (packages / "shared.pth").write_text(shared, encoding="utf-8")
    return scripts / (
        "deeplabstream.exe" if sys.platform == "win32" else "deeplabstream"
    )


PIP = (sys.executable, "-m", "pip")
OFFLINE = ("--no-index", "--no-deps", "--disable-pip-version-check", "-q")


def _install(python: Path, wheel: Path, *words: str) -> None:
    install = [*PIP, "--python", str(python), "install", *OFFLINE, *words]
    _run(*install, str(wheel), cwd=wheel.parent)


_SITE = "import sysconfig; print(sysconfig.get_path('purelib'))"


def _run(*words: str, cwd: Path) -> str:
    done = subprocess.run(
        words, cwd=cwd, capture_output=True, text=True, encoding="utf-8", check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def _hashes(folder: Path) -> dict[str, str]:
    return {
        file.relative_to(folder).as_posix(): hashlib.sha256(
            file.read_bytes()
        ).hexdigest()
        for file in sorted(folder.rglob("*"))
        if file.is_file() and not {"output", "__pycache__"} & set(file.parts)
    }


@pytest.mark.timeout(
    600
)  # builds a wheel, and runs a rig that has nothing compiled yet
def test_the_installed_command_runs_a_rig_folder(
    installed: Path, tmp_path: Path
) -> None:
    command = str(installed)
    assert "analyse-video" in _run(command, "--help", cwd=tmp_path)
    where = "import deeplabstream.files.paths as p, cameras; print(p.ROOT, cameras.__file__)"
    python = str(installed.with_name(installed.name.replace("deeplabstream", "python")))
    assert _run(python, "-c", where, cwd=tmp_path).count("site-packages") == 2
    assert "rig folder" in _run(command, "new", "my rig", cwd=tmp_path)
    rig = tmp_path / "my rig"
    assert "no problems" in _run(command, "check", cwd=rig)
    (rig / "cameras/grey.py").write_text(CAMERA, encoding="utf-8")
    (rig / "experiments/upper_half.py").write_text(TRIGGER, encoding="utf-8")
    (rig / "settings.ini").write_text(SETTINGS, encoding="utf-8")
    before = _hashes(rig)
    said = _run(command, "check", "--rig", "my rig", cwd=tmp_path)
    assert "no problems" in said
    words = ("--start", "analysis", "--headless", "--seconds", "4")
    said = _run(command, "run", "--rig", str(rig), *words, cwd=tmp_path)
    assert "Camera own:" in said, said
    (table,) = rig.glob("output/*/own.csv")
    assert "upper" in table.read_text(encoding="utf-8").splitlines()[0]
    assert not (tmp_path / "output").exists()
    (wheel,) = installed.parents[2].glob("*.whl")
    _install(Path(python), wheel, "--force-reinstall")
    assert "no problems" in _run(command, "check", cwd=rig)
    assert _hashes(rig) == before
