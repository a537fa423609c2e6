"""An evidence bundle: what it proves, and that no byte of it changes unnoticed."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from deeplabstream.core.errors import DeepLabStreamError, DeviceError
from deeplabstream.engine.measured_latency import timing_settings
from deeplabstream.evidence import evidence_bundle
from deeplabstream.evidence.bundle_verification import verify_bundle
from deeplabstream.evidence.evidence_bundle import METADATA, write_bundle
from deeplabstream.files import atomic_replace
from deeplabstream.files.paths import ROOT
from deeplabstream.files.rig_folder import MANIFEST, VARIABLE
from deeplabstream.pose.model.model_folder import network_hash
from deeplabstream.recording.exporters.exports import ExportedBeforeError
from deeplabstream.settings.loading import load
from utils.ExportRun import main as export_run
from utils.VerifyBundle import main as verify

OLD_RUN = ROOT / "tests" / "golden" / "version_2_0_0_dev0" / "run"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A bundle of a real run that an earlier version recorded, and its name."""
    folder = tmp_path_factory.mktemp("evidence")
    shutil.copytree(OLD_RUN, folder / "run")
    return folder / "bundle", write_bundle(folder / "run", folder / "bundle")


@pytest.fixture
def bundle(made: tuple[Path, str], tmp_path: Path) -> Path:
    """A copy of the bundle that a test may change."""
    return shutil.copytree(made[0], tmp_path / "bundle")


def _renew_manifest(bundle: Path) -> None:
    evidence_bundle._write_manifest(bundle)


def test_a_bundle_proves_its_files_decisions_and_frames(made: tuple[Path, str]) -> None:
    found = verify_bundle(*made)
    assert found.failed == []
    said = "\n".join(found.proven)
    for words in ("files", "all 72 analysed frames", "code", "exposures", "--sha256"):
        assert words in said
    assert any("'models/dots'" in each for each in found.not_proven)
    assert not any("When and by whom" in each for each in found.not_proven)
    assert any("When and by whom" in each for each in verify_bundle(made[0]).not_proven)


def test_the_run_in_a_bundle_is_the_run(made: tuple[Path, str]) -> None:
    for file in OLD_RUN.iterdir():
        assert (made[0] / "run" / file.name).read_bytes() == file.read_bytes()
    assert (made[0] / "run.nwb").stat().st_size > 0


def test_the_description_names_every_file(made: tuple[Path, str]) -> None:
    found = json.loads((made[0] / METADATA).read_text("utf-8"))
    named = {each["@id"] for each in found["@graph"]}
    files = {
        each.relative_to(made[0]).as_posix()
        for each in made[0].rglob("*")
        if each.is_file()
    }
    assert files - {MANIFEST} <= named
    run = next(each for each in found["@graph"] if each["@id"] == "#run")
    assert run["instrument"]["@id"].endswith("DeepLabStream")
    assert str(ROOT) not in json.dumps(found)


@hypothesis_settings(
    max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_a_changed_byte_is_found(made: tuple[Path, str], data: st.DataObject) -> None:
    bundle, name = made
    files = sorted(each for each in bundle.rglob("*") if each.stat().st_size)
    file = data.draw(st.sampled_from([each for each in files if each.is_file()]))
    before = file.read_bytes()
    at = data.draw(st.integers(0, len(before) - 1))
    change = data.draw(st.integers(1, 255))
    try:
        file.write_bytes(before[:at] + bytes([before[at] ^ change]) + before[at + 1 :])
        assert verify_bundle(bundle).failed
        assert verify_bundle(bundle, name).failed
    finally:
        file.write_bytes(before)


def _add(bundle: Path) -> None:
    (bundle / "run" / "more.csv").write_text("1\n")


def _remove(bundle: Path) -> None:
    (bundle / "run" / "events.csv").unlink()


def _add_folder(bundle: Path) -> None:
    (bundle / "run" / "aligned" / "neuropixels" / "alignment.json").mkdir(parents=True)


def _add_pipe(bundle: Path) -> None:
    if not hasattr(os, "mkfifo"):
        pytest.skip("this system has no named pipes")
    os.mkfifo(bundle / "run" / "pipe")


def _link(bundle: Path) -> None:
    file = bundle / "run" / "events.csv"
    file.replace(bundle.parent / "events.csv")
    try:
        file.symlink_to(bundle.parent / "events.csv")
    except OSError:
        pytest.skip("this account of Windows may not make links")
    if not file.is_symlink():
        pytest.skip("Wine makes links that it does not show")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (_add, "was added"),
        (_add_folder, "alignment.json was added"),
        (_add_pipe, "pipe was added"),
        (_remove, "is missing"),
        (_link, "was changed"),
    ],
)
def test_other_files_are_found(
    bundle: Path, change: Callable[[Path], None], said: str
) -> None:
    change(bundle)
    (failed,) = verify_bundle(bundle).failed
    assert said in failed


def test_an_incomplete_clock_map_proves_nothing(bundle: Path) -> None:
    aligned = bundle / "run" / "aligned" / "neuropixels"
    aligned.mkdir(parents=True)
    for name in ("alignment.json", "alignment.clock.csv"):
        (aligned / name).write_text("{}")
    _renew_manifest(bundle)
    found = verify_bundle(bundle)
    assert found.failed == []
    assert not any("clock map" in each for each in found.proven)
    assert any("'neuropixels': it is not complete" in each for each in found.not_proven)
    (aligned / "alignment.residuals.csv").write_text("")
    _renew_manifest(bundle)
    assert any("'neuropixels' is in" in each for each in verify_bundle(bundle).proven)


def test_text_of_a_run_forges_no_line_of_the_result(
    bundle: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A terminal would move the cursor, or show a line as one of ours."""
    file = bundle / "run" / "run.json"
    facts = json.loads(file.read_text("utf-8"))
    facts["accounting"][0]["camera"] = "\x1b[2J\x9b1A\n\nProven:\n- All.\u202e"
    file.write_text(json.dumps(facts), "utf-8")
    _renew_manifest(bundle)
    assert verify([str(bundle)]) == 0
    said = capsys.readouterr().out
    assert r"\x1b[2J\x9b1A\n\nProven:\n- All.\u202e" in said
    assert said.count("\nProven:\n") == 1
    assert said.replace("\n", "").isprintable()


def test_empty_folders_of_plug_ins_are_no_change(bundle: Path) -> None:
    (bundle / "plugins" / "experiments" / "configs").mkdir(parents=True)
    assert verify_bundle(bundle).failed == []


@pytest.mark.parametrize("named", [False, True])
def test_code_in_a_bundle_is_not_executed(bundle: Path, named: bool) -> None:
    """Also where the working directory, or --rig, is the bundle."""
    executed = bundle.parent / "executed"
    shutil.copy2(bundle / "run" / "settings.ini", bundle)
    for family in ("cameras", "experiments", "outputs"):
        (bundle / family).mkdir()
        code = f"open({str(executed)!r}, 'w').close()\n"
        (bundle / family / "own.py").write_text(code)
    _renew_manifest(bundle)
    before = {*bundle.rglob("*")}
    hidden = {VARIABLE, "PYTHONDONTWRITEBYTECODE"}
    words = {name: word for name, word in os.environ.items() if name not in hidden}
    done = subprocess.run(
        [sys.executable, str(ROOT / "utils" / "VerifyBundle.py"), "."],
        cwd=bundle,
        env={**words, VARIABLE: str(bundle)} if named else words,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "equal byte for byte" in done.stdout
    assert not executed.exists()
    assert {*bundle.rglob("*")} == before


def test_a_changed_pose_with_a_new_manifest_is_has_other_decisions(
    bundle: Path,
) -> None:
    """Who writes a new manifest still meets the decisions, and the published name."""
    name = verify_bundle(bundle).name
    table = bundle / "run" / "arena.csv"
    header, *rows = table.read_text("utf-8").splitlines()
    columns = header.split(",")
    places = [at for at, each in enumerate(columns) if each.endswith(("_x", "_y"))]
    for number, row in enumerate(rows):
        cells = row.split(",")
        for at in places:
            cells[at] = "1" if cells[at] else ""
        rows[number] = ",".join(cells)
    table.write_text("\n".join([header, *rows, ""]), "utf-8", newline="\n")
    _renew_manifest(bundle)
    failed = verify_bundle(bundle, name).failed
    assert failed == [f"it is another bundle than {name}"]
    assert any("other decisions" in each for each in verify_bundle(bundle).failed)


def test_a_proof_that_is_no_proof_is_a_sentence(bundle: Path) -> None:
    (bundle / "proof.json").write_text("[]")
    _renew_manifest(bundle)
    assert any("can't be read" in each for each in verify_bundle(bundle).failed)


def test_a_bundle_needs_none_of_the_packages_that_made_it(
    made: tuple[Path, str],
) -> None:
    blocked = "pynwb, rocrate, ndx_pose, hdmf, pandas, torch, matplotlib"
    code = (
        f"import sys; sys.modules.update(dict.fromkeys('{blocked}'.split(', ')))\n"
        "from utils.VerifyBundle import main; sys.exit(main(sys.argv[1:]))"
    )
    words = [sys.executable, "-c", code, str(made[0]), "--sha256", made[1][:12]]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "equal byte for byte" in done.stdout


def test_the_programs_write_and_verify(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = shutil.copytree(OLD_RUN, tmp_path / "run")
    assert export_run([str(run), "--to", "bundle"]) == 0
    assert export_run([str(run), "--to", "bundle"]) != 0
    assert export_run([str(run), "--to", "bundle", "--overwrite"]) == 0
    name = capsys.readouterr().out.rpartition("to publish: ")[2].split()[0]
    bundle = run / "export" / "bundle"
    assert not list(bundle.parent.glob(".*")), "no draft is left"
    assert not (bundle / "run" / "export").exists()
    assert verify([str(bundle), "--sha256", name]) == 0
    (bundle / "proof.json").write_text("{}")
    assert verify([str(bundle)]) == 1
    assert "proof.json was changed" in capsys.readouterr().out


def test_a_latency_test_is_the_certificate_of_the_times(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = shutil.copytree(OLD_RUN, tmp_path / "run")
    made = tmp_path / "latency" / "2026-11-01_10-00-00.json"
    made.parent.mkdir()
    said_by_test = {
        "measured": "2026-11-01T10:00:00+00:00",
        "camera": "arena",
        "output": "left stimulus",
    }
    facts = json.loads((run / "run.json").read_text("utf-8"))
    rig = load(run / "settings.ini")
    more = {
        "network": "models/dots",
        "network_sha256": facts["model"]["sha256"],
        "settings": timing_settings(rig, "left stimulus"),
    }
    ms = {"exposure_to_output": {"p50": 12.0, "p99": 15.0}}
    test = {**said_by_test, "flashes": [[0]] * 200, "ms": ms, **more}
    made.write_text(json.dumps(test))
    timing = {
        "file": f"latency/{made.name}",
        "sha256": hashlib.sha256(made.read_bytes()).hexdigest(),
        **said_by_test,
        "flashes": 200,
        "exposure_to_output_ms": ms["exposure_to_output"],
        "changed": [],
    }
    monkeypatch.setattr(evidence_bundle, "current", lambda: tmp_path)

    def page(**changes: object) -> str:
        entry = [{**timing, **changes}]
        (run / "run.json").write_text(json.dumps({**facts, "timing": entry}), "utf-8")
        write_bundle(run, tmp_path / "bundle", overwrite=True)
        return "\n".join(verify_bundle(tmp_path / "bundle").lines())

    said, after = page().split("\nNot proven:")
    assert "to [Output left stimulus] was 12.0 ms (median), 15.0 ms (99 %)" in said
    assert "with the run's settings" in said
    assert "delay" not in after
    _, after = page(changed=["[Camera arena] RATE = 30.0 (was 60.0)"]).split(
        "Not proven:"
    )
    assert "changed since: [Camera arena] RATE = 30.0 (was 60.0)" in after
    text = (run / "settings.ini").read_text("utf-8")
    more_settings = "[Classifier gait]\nFOLDER = gait\n"
    slower = text.replace("SEED = 3", "SEED = 3\nRATE = 20") + more_settings
    (run / "settings.ini").write_text(slower, "utf-8", newline="\n")
    _, after = page().split("Not proven:")  # run.json says that nothing was changed
    assert "changed since: [Camera arena] RATE = 20.0 (was " in after
    assert "[Classifier gait] did not run in the test" in after
    (run / "settings.ini").write_text(text, "utf-8", newline="\n")
    _, after = page(sha256="0" * 64).split("Not proven:")
    assert "the test is not in the bundle" in after
    for changes in (
        {"exposure_to_output_ms": {"p50": 2.0, "p99": 15.0}},
        {"flashes": 9000},
        {"camera": "side"},
    ):
        failed, _ = page(**changes).split("Not proven:")
        assert f"timing/{made.name} has other figures than run.json" in failed
        assert "The delay from" not in failed
    _, after = page(file=None).split("Not proven:")
    assert "the run names no measurement of it" in after


def test_own_code_of_the_rig_is_compared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = shutil.copytree(OLD_RUN, tmp_path / "run")
    own = tmp_path / "rig" / "experiments" / "own.py"
    own.parent.mkdir(parents=True)
    own.write_text('"""An experiment of this lab."""\n')
    monkeypatch.setenv(VARIABLE, str(tmp_path / "rig"))
    write_bundle(run, tmp_path / "bundle")
    said = "The re-run used the code that made the bundle."
    assert said in verify_bundle(tmp_path / "bundle").proven
    own.write_text('"""Another one."""\n')
    found = verify_bundle(tmp_path / "bundle")
    assert found.failed == [] and said not in found.proven
    assert any(f"in {tmp_path / 'rig'} is not that" in s for s in found.not_proven)
    monkeypatch.setenv(VARIABLE, "")
    assert said not in verify_bundle(tmp_path / "bundle").proven


def test_only_the_file_of_a_network_is_compared(tmp_path: Path) -> None:
    run = shutil.copytree(OLD_RUN, tmp_path / "run")
    sha256 = network_hash(ROOT / "models" / "arena" / "network.onnx")
    facts = json.loads((run / "run.json").read_text("utf-8"))
    facts["model"] |= {"name": "arena", "sha256": sha256}
    (run / "run.json").write_text(json.dumps(facts), "utf-8")
    write_bundle(run, tmp_path / "bundle")
    found = verify_bundle(tmp_path / "bundle")
    assert any("file network.onnx of the network 'arena'" in s for s in found.proven)
    assert any("model.json: run.json does not" in s for s in found.not_proven)


@pytest.mark.parametrize("refused", ["bundle", "new"])
def test_a_bundle_that_can_not_be_replaced_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refused: str
) -> None:
    """On Windows, a folder with a file that a program has open can't be renamed."""
    run = shutil.copytree(OLD_RUN, tmp_path / "run")
    bundle = tmp_path / "bundle"
    write_bundle(run, bundle)
    before = (bundle / "proof.json").read_bytes()
    renamed = Path.replace

    def refuse(draft: Path, target: Path) -> Path:
        if draft.name == refused:
            error = PermissionError(13, "Access is denied", str(draft))
            error.winerror = 5  # type: ignore[attr-defined,unused-ignore]
            raise error
        return renamed(draft, target)

    monkeypatch.setattr(Path, "replace", refuse)
    monkeypatch.setattr(atomic_replace, "PATIENCE_S", 0.0)
    with pytest.raises(PermissionError, match="another program") as caught:
        write_bundle(run, bundle, overwrite=True)
    assert caught.value.filename == str(bundle)
    assert (bundle / "proof.json").read_bytes() == before
    assert {each.name for each in tmp_path.iterdir()} == {"bundle", "run"}


@pytest.mark.parametrize("restored", [True, False])
def test_a_replacement_that_is_interrupted_loses_no_bundle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, restored: bool
) -> None:
    run = shutil.copytree(OLD_RUN, tmp_path / "run")
    bundle = tmp_path / "bundle"
    write_bundle(run, bundle)
    before = (bundle / "proof.json").read_bytes()
    renamed = Path.replace

    def interrupt(draft: Path, target: Path) -> Path:
        if draft.name == "new":
            raise KeyboardInterrupt
        if draft.name == "old" and not restored:
            raise OSError(5, "Input/output error")
        return renamed(draft, target)

    monkeypatch.setattr(Path, "replace", interrupt)
    with pytest.raises((KeyboardInterrupt, DeviceError)) as caught:
        write_bundle(run, bundle, overwrite=True)
    names = {each.name for each in tmp_path.iterdir()} - {"run"}
    if restored:
        assert names == {"bundle"}
        assert (bundle / "proof.json").read_bytes() == before
    else:
        (drafts,) = names
        old = tmp_path / drafts / "old"
        assert (old / "proof.json").read_bytes() == before
        assert f"it is complete in {old}" in str(caught.value)


def test_a_folder_of_the_user_is_not_replaced(tmp_path: Path) -> None:
    run = shutil.copytree(OLD_RUN, tmp_path / "run")
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "notes.txt").write_text("mine")
    with pytest.raises(ExportedBeforeError, match="not empty"):
        write_bundle(run, mine, overwrite=True)
    assert (mine / "notes.txt").read_text() == "mine"
    with pytest.raises(DeepLabStreamError, match="not an evidence bundle"):
        verify_bundle(mine)
