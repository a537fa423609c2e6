"""Evidence bundle: write a run with everything that its decisions depend on, as an RO-Crate.

`bundle_files` lists its files; `bundle_verification` checks them.
"""

import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from deeplabstream.core.errors import DeepLabStreamError, DeviceError
from deeplabstream.engine.measured_latency import (
    FOLDER,
)
from deeplabstream.evidence.bundle_files import (
    DECISIONS,
    NETWORKS,
    PLUGINS,
    PROOF,
    RUN,
    TIMING,
    bundle_files,
    decisions,
    different_lines,
    file_hash,
    latency_tests,
    manifest_text,
    network_folder,
    program_hash,
)
from deeplabstream.files.atomic_replace import replace
from deeplabstream.files.overwriting import would_overwrite
from deeplabstream.files.paths import ROOT, paths_below
from deeplabstream.files.plugin_trust import PLUGIN_FOLDERS
from deeplabstream.files.rig_folder import MANIFEST, current
from deeplabstream.pose.model.model_folder import NETWORK, network_hash
from deeplabstream.pose.model.model_opening import find_model
from deeplabstream.recording.exporters.exports import ExportedBeforeError
from deeplabstream.recording.exporters.nwb import NwbSubject
from deeplabstream.recording.exporters.nwb_run import nwb
from deeplabstream.recording.run_folder import RunFolder, application_version
from deeplabstream.recording.run_json import networks_of_run
from deeplabstream.recording.run_opening import open_run_folder
from deeplabstream.recording.run_schema import AUDIT, AUDIT_RESULTS, CORRECTIONS

SCHEMA = 1
BUNDLE = "bundle"
"""Name of this export format and of its folder."""
METADATA = "ro-crate-metadata.json"
_EXPORT = "export"
_HIDDEN = shutil.ignore_patterns(".*", "__pycache__*")


def write_bundle(
    run: Path,
    bundle: Path,
    report: Callable[[str], object] = lambda sentence: None,
    overwrite: bool = False,
    subject: NwbSubject | None = None,
) -> str:
    """Write the evidence bundle of a run; return the SHA-256 that names it.

    Parameters
    ----------
    run : pathlib.Path
        Run folder. A run that was killed is repaired first.
    bundle : pathlib.Path
        Folder to write.
    report : callable
        Gets what was repaired, and what the bundle lacks, as sentences.
    overwrite : bool
        Whether an existing bundle is replaced.
    subject : NwbSubject, optional
        The animal, for NWB.

    Raises
    ------
    ExportedBeforeError
        The folder is not empty, and `overwrite` is not given or it is not a bundle.
    DeepLabStreamError
        The run can't be read or re-run.
    DeviceError
        The bundle that was there could not be put back; the error names its folder.
    """
    source = open_run_folder(run, report)
    if would_overwrite(bundle) and not (overwrite and (bundle / MANIFEST).is_file()):
        raise ExportedBeforeError(
            f"{bundle} is not empty. Name another folder, or replace a bundle with --overwrite"
        )
    bundle.parent.mkdir(parents=True, exist_ok=True)
    drafts = Path(mkdtemp(prefix=f".{bundle.name}.", dir=bundle.parent))
    new, old = drafts / "new", drafts / "old"
    try:
        name = _write(source, new, report, subject)
        _place(new, bundle, old)
    finally:
        # If the old bundle exists only among the drafts, they are kept.
        if bundle.exists() or not old.exists():
            shutil.rmtree(drafts, ignore_errors=True)
    return name


def _place(new: Path, bundle: Path, old: Path) -> None:
    """Rename `new` to `bundle` and the previous folder to `old`; OSError: nothing was changed.

    DeviceError: it could not be renamed back from `old`, and stays there.
    """
    try:
        if bundle.exists():
            try:
                replace(bundle, old)
            except PermissionError as error:
                raise PermissionError(
                    error.errno, error.strerror, str(bundle)
                ) from error
        replace(new, bundle)
    except BaseException:
        # Ctrl-C too: on Windows `replace` retries for seconds while another program
        # reads.
        if old.exists() and not bundle.exists():
            try:
                replace(old, bundle)
            except BaseException as error:
                raise DeviceError(
                    f"{bundle} was not replaced, and its new name could not be undone: "
                    f"it is complete in {old}. Rename that folder to {bundle}"
                ) from error
        raise


def _write(
    source: RunFolder,
    bundle: Path,
    report: Callable[[str], object],
    subject: NwbSubject | None,
) -> str:
    _copy_run(source, bundle / RUN)
    folder = RunFolder(bundle / RUN)
    for sentence in _copy_networks(folder, bundle / NETWORKS):
        report(sentence)
    _copy_plugins(bundle / PLUGINS)
    for sentence in _copy_timing(folder, bundle / TIMING):
        report(sentence)
    for file in nwb(folder, bundle, subject):
        file.write(file.path)
    _write_json(bundle / PROOF, _prove(folder, bundle / DECISIONS))
    _write_metadata(bundle, folder.facts)
    return _write_manifest(bundle)


def _copy_run(source: RunFolder, into: Path) -> None:
    """Copy the files of a run, without exports and unfinished files."""
    into.mkdir(parents=True)
    for file in paths_below(source.path):
        inner = file.relative_to(source.path)
        hidden = any(part.startswith(".") for part in inner.parts)
        if file.is_file() and inner.parts[0] != _EXPORT and not hidden:
            (into / inner).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(file, into / inner)


def _copy_networks(folder: RunFolder, into: Path) -> Iterator[str]:
    """Copy the networks of the run; yield a sentence for each that is missing."""
    for name, sha256 in networks_of_run(folder.facts).items():
        try:
            model = find_model(name)
            same = sha256 == network_hash(model / NETWORK)
        except DeepLabStreamError as error:
            yield f"network {name!r} is not in the bundle: {error}"
            continue
        if not same:
            yield (
                f"network {name!r} is not in the bundle: the file in {model} is another one "
                "than the run used"
            )
            continue
        shutil.copytree(model, into / network_folder(name, sha256), ignore=_HIDDEN)


def _copy_plugins(into: Path) -> None:
    """Copy the plug-ins of the current rig, if it has any."""
    rig = current()
    if rig == ROOT:
        return
    for family in PLUGIN_FOLDERS:
        if any((rig / family).rglob("*.py")):
            shutil.copytree(rig / family, into / family, ignore=_HIDDEN)


def _copy_timing(folder: RunFolder, into: Path) -> Iterator[str]:
    """Copy the latency tests of a run; yield a sentence for each that is missing."""
    for test in latency_tests(folder):
        file = current() / FOLDER / Path(test["file"]).name
        if not file.is_file() or file_hash(file) != test["sha256"]:
            yield f"the latency test {file} is not in the bundle: it is not there unchanged"
            continue
        into.mkdir(exist_ok=True)
        shutil.copy2(file, into)


def _prove(folder: RunFolder, table: Path) -> dict[str, object]:
    """Re-run the decisions, write them, and return the differences."""
    recorded, now = decisions(folder)
    table.write_text(now, "utf-8", newline="\n")
    return {
        "schema": SCHEMA,
        "made": datetime.now(UTC).isoformat(),
        "application": application_version(),
        "program_sha256": program_hash(),
        "frames": now.count("\n") - 1,
        "different_frames": different_lines(recorded, now),
    }


def _write_manifest(bundle: Path) -> str:
    """Write the manifest; return its SHA-256."""
    hashes = {str(name): file_hash(bundle / name) for name in bundle_files(bundle)}
    (bundle / MANIFEST).write_text(manifest_text(hashes), "utf-8", newline="\n")
    return file_hash(bundle / MANIFEST)


def _write_json(path: Path, facts: object) -> None:
    text = json.dumps(facts, indent=2, ensure_ascii=False)
    path.write_text(f"{text}\n", "utf-8", newline="\n")


_MEDIA = {
    ".csv": "text/csv", ".json": "application/json", ".ini": "text/plain",
    ".mkv": "video/x-matroska", ".nwb": "application/x-hdf5", ".onnx": "application/onnx",
    ".py": "text/x-python",
}  # fmt: skip
_DESCRIBED = {
    "run/run.json": "Facts about the run: versions, networks, cameras, frame accounts",
    "run/settings.ini": "The settings as used",
    f"{RUN}/{CORRECTIONS}": "Corrections of poses and checked uncertain places, by users",
    f"{RUN}/{AUDIT}": "Clips of the audit, and what raters said about them",
    f"{RUN}/{AUDIT_RESULTS}": "How often triggers and outputs were right, with intervals",
    "run/events.csv": "Commands, writes to outputs, reports of devices, notes",
    "run.nwb": "The run as Neurodata Without Borders",
    PROOF: "Which program re-ran the decisions, and what differed",
    DECISIONS: "Decision on every analysed frame, re-run from the recorded poses",
}


def _write_metadata(bundle: Path, facts: Mapping[str, Any]) -> None:
    """Write the RO-Crate metadata; ImportError: rocrate is not installed."""
    from rocrate.model.contextentity import ContextEntity
    from rocrate.rocrate import ROCrate

    crate = ROCrate()
    session = facts.get("session") or {}
    crate.name = f"Closed-loop experiment of {facts['started']}"
    crate.description = (
        "A run of DeepLabStream with its settings, networks and decisions. "
        "`deeplabstream verify FOLDER` re-runs its decisions and checks every file."
    )
    program = crate.add(
        ContextEntity(
            crate,
            "#DeepLabStream",
            properties={
                "@type": "SoftwareApplication",
                "name": "DeepLabStream",
                "softwareVersion": str(facts.get("application") or "unknown"),
            },
        )
    )
    added = []
    for name in bundle_files(bundle):
        about = {"encodingFormat": _MEDIA.get(name.suffix, "application/octet-stream")}
        if description := _DESCRIBED.get(str(name)):
            about["description"] = description
        path = bundle / name
        about["contentSize"] = str(path.stat().st_size)
        added.append(crate.add_file(path, dest_path=str(name), properties=about))
    action = {
        "@type": "CreateAction",
        "name": "Run of the experiment",
        "startTime": facts["started"],
        "endTime": facts.get("ended"),
        "description": str(session.get("notes") or ""),
    }
    action = {key: value for key, value in action.items() if value}
    crate.add_action(program, "#run", result=added, properties=action)
    if experimenter := session.get("experimenter"):
        person = ContextEntity(
            crate,
            "#experimenter",
            properties={"@type": "Person", "name": str(experimenter)},
        )
        crate.root_dataset["author"] = crate.add(person)
    crate.metadata.write(bundle)
