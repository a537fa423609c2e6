"""Plug-ins of a rig folder that is new to this computer run only after a confirmation."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from deeplabstream.core.errors import SettingsError
from deeplabstream.files import plugin_trust, rig_folder
from deeplabstream.files.paths import ROOT
from deeplabstream.files.plugin_trust import (
    TrustQuestion,
    is_trusted,
    plugin_hashes,
    trust,
)
from deeplabstream.settings.example_rig import make_rig
from deeplabstream.settings.loading import load

RUN = ROOT / "tests" / "golden" / "version_2_0_0_dev0" / "run"


@pytest.fixture(autouse=True)
def nothing_is_trusted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(plugin_trust.VARIABLE, "")
    for name in ("XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.setenv(name, str(tmp_path / "cache"))


@pytest.fixture
def question(monkeypatch: pytest.MonkeyPatch) -> TrustQuestion:
    """The question of this process, without a terminal."""
    made = TrustQuestion()
    monkeypatch.setattr(rig_folder, "TRUST", made)
    return made


@pytest.fixture
def rig(tmp_path: Path) -> Path:
    """A rig of somebody else, whose plug-in leaves a trace when it runs."""
    folder = tmp_path / "rig"
    (folder / "experiments").mkdir(parents=True)
    (folder / "settings.ini").write_text((ROOT / "settings.ini").read_text("utf-8"))
    _write_plugin(folder, "evil")
    return folder


def _write_plugin(folder: Path, name: str) -> None:
    trace = folder.parent / "executed"
    code = f"open({str(trace)!r}, 'w').close()\n"
    (folder / "experiments" / f"{name}.py").write_text(code)


def _run(
    program: str, *options: str | Path, folder: Path
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(ROOT / "utils" / f"{program}.py"), *map(str, options)],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


def test_verify_runs_no_plugin_of_the_folder_in_which_it_is_started(
    rig: Path, tmp_path: Path
) -> None:
    from deeplabstream.evidence.evidence_bundle import write_bundle

    write_bundle(RUN, tmp_path / "bundle")
    done = _run("VerifyBundle", tmp_path / "bundle", folder=rig)
    assert done.returncode == 0, done.stderr
    assert "equal byte for byte" in done.stdout
    done = _run("VerifyBundle", tmp_path / "bundle", "--rig", rig, folder=tmp_path)
    assert "evil.py. They are programs" in done.stdout
    assert not (tmp_path / "executed").exists()
    _run("VerifyBundle", tmp_path / "bundle", "--rig", rig, "--trust", folder=tmp_path)
    assert (tmp_path / "executed").exists()


def test_check_refuses_new_and_changed_plugins_until_they_are_trusted(
    rig: Path, tmp_path: Path
) -> None:
    for where in (["--rig", rig], ["--settings", rig / "settings.ini"], []):
        done = _run("CheckSettings", *where, folder=rig if not where else tmp_path)
        assert done.returncode == 1
        assert "are new to this computer: experiments/evil.py" in done.stdout
        assert "--trust" in done.stdout
    assert not (tmp_path / "executed").exists()

    assert "no problems" in _run("CheckSettings", "--trust", folder=rig).stdout
    assert (tmp_path / "executed").exists()
    assert "no problems" in _run("CheckSettings", folder=rig).stdout

    (tmp_path / "executed").unlink()
    _write_plugin(rig, "other")
    done = _run("CheckSettings", folder=rig)
    assert "have changed since you confirmed them: experiments/other.py" in done.stdout
    assert not (tmp_path / "executed").exists()


def test_a_user_is_asked_once(
    rig: Path, question: TrustQuestion, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[str] = []

    def answer(question: str) -> bool:
        shown.append(question)
        return len(shown) > 1

    question.show = answer
    for _ in range(2):
        with pytest.raises(SettingsError, match=r"evil\.py.*were not run"):
            load(rig / "settings.ini")
    assert len(shown) == 1
    _write_plugin(rig, "more")
    load(rig / "settings.ini")
    load(rig / "settings.ini")
    assert len(shown) == 2
    assert os.environ[plugin_trust.VARIABLE] == str(rig)
    monkeypatch.setenv(plugin_trust.VARIABLE, "")
    assert is_trusted(rig)


def test_a_program_without_a_question_leaves_the_plugins_out(
    rig: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(rig_folder.VARIABLE, str(rig))
    built_in = [str(ROOT / "experiments")]
    assert rig_folder.plugin_path(built_in, "experiments") == built_in
    monkeypatch.setenv(plugin_trust.VARIABLE, str(rig))
    assert len(rig_folder.plugin_path(built_in, "experiments")) == 2
    monkeypatch.setenv(plugin_trust.VARIABLE, "")
    rig_folder.plugin_path(built_in, "experiments")


def test_the_trust_is_in_the_content(rig: Path, tmp_path: Path) -> None:
    trust(rig)
    assert is_trusted(rig)
    moved = rig.rename(tmp_path / "moved")
    assert is_trusted(moved)
    compiled = moved / "experiments" / "__pycache__"
    compiled.mkdir()
    assert not is_trusted(moved)  # it may hold other code than the files
    compiled.rmdir()
    (moved / "experiments" / "evil.py").write_text("")
    assert not is_trusted(moved)


def test_all_that_python_imports_counts(rig: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "linked.py").write_text("")
    (rig / "experiments" / "package").symlink_to(outside)
    (rig / "experiments" / "package" / "again").symlink_to(rig / "experiments")
    (rig / "outputs").mkdir()
    (rig / "outputs" / "compiled.pyc").write_bytes(b"")
    (rig / "outputs" / "notes.txt").write_text("")
    assert sorted(plugin_hashes(rig)) == [
        "experiments/evil.py",
        "experiments/package/linked.py",
        "outputs/compiled.pyc",
    ]


def test_a_new_rig_is_trusted_and_asks_for_what_is_added(
    tmp_path: Path, question: TrustQuestion
) -> None:
    folder = make_rig(tmp_path / "new")
    load(folder / "settings.ini")
    _write_plugin(folder, "own")
    with pytest.raises(SettingsError, match=r"computer: experiments/own\.py"):
        load(folder / "settings.ini")
    question.answered = True
    load(folder / "settings.ini")
    assert not question.answered


def test_names_of_files_are_shown_without_control_characters(
    rig: Path, question: TrustQuestion
) -> None:
    _write_plugin(rig, "\x1b[2J")
    with pytest.raises(SettingsError, match=r"experiments/\\x1b\[2J\.py"):
        load(rig / "settings.ini")


@pytest.mark.skipif(sys.platform == "win32", reason="it needs a pseudo-terminal")
@pytest.mark.parametrize(("answer", "trusted"), [("y", True), ("", False)])
def test_a_terminal_is_asked(
    monkeypatch: pytest.MonkeyPatch, answer: str, trusted: bool
) -> None:
    master, slave = os.openpty()
    with (
        os.fdopen(slave) as entered,
        Path(os.ttyname(slave)).open("w", encoding="utf-8") as shown,
    ):
        monkeypatch.setattr(sys, "stdin", entered)
        monkeypatch.setattr(sys, "stderr", shown)
        os.write(master, f"{answer}\n".encode())
        assert plugin_trust.question_in_terminal("Run them?") is trusted
    os.close(master)


def test_no_file_of_the_working_directory_replaces_a_package(tmp_path: Path) -> None:
    (tmp_path / "numpy.py").write_text("raise SystemExit('it was run')\n")
    done = subprocess.run(
        [sys.executable, "-m", "deeplabstream", "check"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "no problems" in done.stdout, done.stderr
