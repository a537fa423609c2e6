"""Evidence bundle: a run with everything that its decisions depend on, as an RO-Crate.

A bundle is a folder:

- `run/`: the run folder, unchanged;
- `run.nwb`: the run for other programs;
- `networks/NAME/`: the networks that gave the poses, where they were found;
- `plugins/`: the rig's own cameras, experiments and outputs;
- `timing/`: the latency tests that `run.json` names, where they were found;
- `decisions.csv`: the decision on every frame, re-run from the recorded poses;
- `proof.json`: which program re-ran the decisions, and what differed;
- `ro-crate-metadata.json`: description by RO-Crate 1.2;
- `manifest-sha256.txt`: the SHA-256 of all of these. Its own SHA-256 names the bundle.
"""

import csv
import hashlib
import json
import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path, PurePosixPath
from tempfile import mkdtemp
from typing import Any

from deeplabstream.core.errors import DeepLabStreamError, DeviceError
from deeplabstream.core.journal_entries import Step
from deeplabstream.engine.measured_latency import (
    FOLDER,
    differences_of_run,
    measured_facts,
    timing_sentence,
)
from deeplabstream.engine.replay.rerun import rerun_decisions, words
from deeplabstream.files.atomic_replace import replace
from deeplabstream.files.overwriting import would_overwrite
from deeplabstream.files.paths import ROOT, paths_below
from deeplabstream.files.rig_folder import MANIFEST, PLUGIN_FOLDERS, current, use
from deeplabstream.pose.model.model_folder import NETWORK, network_hash
from deeplabstream.pose.model.model_opening import find_model
from deeplabstream.recording.alignment.aligned_run import (
    ALIGNED,
    CLOCK,
    FACTS,
    RESIDUALS,
)
from deeplabstream.recording.cell_formats import flags_text
from deeplabstream.recording.exporters.exports import ExportedBeforeError
from deeplabstream.recording.exporters.nwb import NwbSubject
from deeplabstream.recording.exporters.nwb_run import nwb
from deeplabstream.recording.run_folder import RunFolder, application_version
from deeplabstream.recording.run_json import validate_facts
from deeplabstream.recording.run_opening import open_run_folder
from deeplabstream.settings.loading import load

SCHEMA = 1
BUNDLE = "bundle"
"""Word for this export, and name of its folder."""
RUN, NETWORKS, PLUGINS, TIMING = "run", "networks", "plugins", "timing"
METADATA = "ro-crate-metadata.json"
PROOF, DECISIONS = "proof.json", "decisions.csv"
_EXPORT = "export"
_COLUMNS = (
    "camera",
    "frame",
    "triggers",
    "status",
    "lost",
    "too_old",
    "flags",
    "commands",
)
_PROGRAM = ("deeplabstream", "cameras", "experiments", "outputs")
_HIDDEN = shutil.ignore_patterns(".*", "__pycache__*")


def write_bundle(
    run: Path,
    bundle: Path,
    say: Callable[[str], object] = lambda sentence: None,
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
    say : callable
        Gets what was repaired, and what the bundle lacks, as sentences.
    overwrite : bool
        Whether an existing bundle is replaced.
    subject : NwbSubject, optional
        The animal, for NWB.

    Raises
    ------
    ExportedBeforeError
        The folder is not empty, and `overwrite` is not given or it is no bundle.
    DeepLabStreamError
        The run can't be read or re-run.
    DeviceError
        The bundle that was there could not be put back; the error names its folder.
    """
    source = open_run_folder(run, say)
    if would_overwrite(bundle) and not (overwrite and (bundle / MANIFEST).is_file()):
        raise ExportedBeforeError(
            f"{bundle} is not empty. Name another folder, or replace a bundle with --overwrite"
        )
    bundle.parent.mkdir(parents=True, exist_ok=True)
    drafts = Path(mkdtemp(prefix=f".{bundle.name}.", dir=bundle.parent))
    new, old = drafts / "new", drafts / "old"
    try:
        name = _write(source, new, say, subject)
        _place(new, bundle, old)
    finally:
        if bundle.exists() or not old.exists():
            shutil.rmtree(drafts, ignore_errors=True)
    return name


def _place(new: Path, bundle: Path, old: Path) -> None:
    """Rename `new` to `bundle`, and what was there to `old`; OSError: all is as it was.

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
    except BaseException:  # also Ctrl-C while the renaming is tried again
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
    say: Callable[[str], object],
    subject: NwbSubject | None,
) -> str:
    _copy_run(source, bundle / RUN)
    folder = RunFolder(bundle / RUN)
    for sentence in _copy_networks(folder, bundle / NETWORKS):
        say(sentence)
    _copy_plugins(bundle / PLUGINS)
    for sentence in _copy_timing(folder, bundle / TIMING):
        say(sentence)
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


def _networks(facts: Mapping[str, Any]) -> dict[str, str]:
    """Return the hashes of a run's networks by name; empty hash: it has no file."""
    model = facts["model"] or {}
    named = [model, *model.get("cameras", {}).values()]
    return {str(each["name"]): str(each.get("sha256") or "") for each in named if each}


def _copy_networks(folder: RunFolder, into: Path) -> Iterator[str]:
    """Copy the networks of the run; yield a sentence for each that is not there."""
    for name, sha256 in _networks(folder.facts).items():
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
        shutil.copytree(model, into / _folder_name(name, sha256), ignore=_HIDDEN)


def _folder_name(network: str, sha256: str) -> str:
    return f"{Path(network).name}_{sha256[:8]}"


def _copy_plugins(into: Path) -> None:
    """Copy the code of the rig in use, if it has own code."""
    rig = current()
    if rig == ROOT:
        return
    for family in PLUGIN_FOLDERS:
        if any((rig / family).rglob("*.py")):
            shutil.copytree(rig / family, into / family, ignore=_HIDDEN)


def _timing(folder: RunFolder) -> list[dict[str, Any]]:
    """Return the latency tests that a run names; none where the entry is damaged."""
    return list(validate_facts(folder.facts)[0].get("timing", ()))


def _copy_timing(folder: RunFolder, into: Path) -> Iterator[str]:
    """Copy the latency tests that a run names; yield a sentence for each that is not there."""
    for each in _timing(folder):
        file = current() / FOLDER / Path(each["file"]).name
        if not file.is_file() or _hash(file) != each["sha256"]:
            yield f"the latency test {file} is not in the bundle: it is not there unchanged"
            continue
        into.mkdir(exist_ok=True)
        shutil.copy2(file, into)


def _prove(folder: RunFolder, table: Path) -> dict[str, object]:
    """Re-run the decisions, write them, and return what was found."""
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


def decisions(folder: RunFolder) -> tuple[str, str]:
    """Return the decisions of a run as tables: as recorded, and re-run now.

    One line per analysed frame: states of the triggers, status, changes of points, and
    commands. DeviceError or SettingsError: the run can't be re-run.
    """
    then, now = StringIO(), StringIO()
    tables = [csv.writer(each, lineterminator="\n") for each in (then, now)]
    for table in tables:
        table.writerow(_COLUMNS)
    settings = load(folder.path / "settings.ini")
    try:
        for steps in rerun_decisions(settings, folder):
            for table, step in zip(tables, steps, strict=True):
                table.writerow(_cells(step))
    except (OSError, ValueError, KeyError) as error:
        raise DeviceError(f"{folder.path} can't be re-run: {error}") from error
    return then.getvalue(), now.getvalue()


def _cells(step: Step) -> tuple[object, ...]:
    answers = {True: "1", False: "0", None: "unknown"}
    triggers = (f"{name} {answers[state]}" for name, state in step.triggers.items())
    return (
        step.camera, step.index, "; ".join(triggers), step.status, int(step.lost),
        int(step.too_old), flags_text(step.flags), words(step.commands),
    )  # fmt: skip


def different_lines(one: str, other: str) -> int:
    """Return how many lines of two texts differ; lines that only one has count."""
    lines, others = one.splitlines(), other.splitlines()
    differ = sum(a != b for a, b in zip(lines, others, strict=False))
    return differ + abs(len(lines) - len(others))


def program_hash() -> str:
    """Return the SHA-256 of the program's own code: names and contents of all modules."""
    return _code_hash(ROOT, _PROGRAM)


def _code_hash(root: Path, packages: Iterable[str]) -> str:
    digest = hashlib.sha256()
    for package in packages:
        for file in sorted((root / package).rglob("*.py")):
            name = file.relative_to(root).as_posix()
            if "/." not in name:  # hidden files are not copied
                digest.update(name.encode() + b"\0")
                digest.update(file.read_bytes().replace(b"\r\n", b"\n"))
    return digest.hexdigest()


def _has_own_code(bundle: Path) -> bool:
    """Return whether the rig in use has the plug-ins of the rig that made the bundle."""
    here = _code_hash(current(), () if current() == ROOT else PLUGIN_FOLDERS)
    return here == _code_hash(bundle / PLUGINS, PLUGIN_FOLDERS)


# --- files of the bundle


def _files(bundle: Path) -> Iterator[PurePosixPath]:
    """Yield all files, relative, in the order of the manifest, without the manifest."""
    found = (each for each in bundle.rglob("*") if each.is_file() or each.is_symlink())
    inner = sorted(each.relative_to(bundle).as_posix() for each in found)
    yield from (PurePosixPath(each) for each in inner if each != MANIFEST)


def _strays(bundle: Path) -> Iterator[PurePosixPath]:
    """Yield what no manifest lists: pipes, devices and empty folders.

    Networks and plug-ins may have had empty folders, which were copied.
    """
    copied = bundle / NETWORKS, bundle / PLUGINS
    for each in bundle.rglob("*"):
        if each.is_symlink() or each.is_file():
            continue
        of_copy = any(each.is_relative_to(folder) for folder in copied)
        if not each.is_dir() or not (of_copy or any(each.iterdir())):
            yield PurePosixPath(each.relative_to(bundle).as_posix())


def _hash(file: Path) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def _manifest_of(hashes: Mapping[str, str]) -> str:
    return "".join(f"{digest}  {name}\n" for name, digest in hashes.items())


def _write_manifest(bundle: Path) -> str:
    """Write the manifest; return its SHA-256."""
    hashes = {str(name): _hash(bundle / name) for name in _files(bundle)}
    (bundle / MANIFEST).write_text(_manifest_of(hashes), "utf-8", newline="\n")
    return _hash(bundle / MANIFEST)


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
    "run/events.csv": "Commands, writes to outputs, reports of devices, notes",
    "run.nwb": "The run as Neurodata Without Borders",
    PROOF: "Which program re-ran the decisions, and what differed",
    DECISIONS: "Decision on every analysed frame, re-run from the recorded poses",
}


def _write_metadata(bundle: Path, facts: Mapping[str, Any]) -> None:
    """Write the description by RO-Crate; ImportError: rocrate is not installed."""
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
    for name in _files(bundle):
        about = {"encodingFormat": _MEDIA.get(name.suffix, "application/octet-stream")}
        if said := _DESCRIBED.get(str(name)):
            about["description"] = said
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


# --- verification


@dataclass
class Verification:
    """What a bundle proves."""

    name: str = ""
    """SHA-256 of the manifest."""
    failed: list[str] = field(default_factory=list)
    """What is wrong; empty: nothing."""
    proven: list[str] = field(default_factory=list)
    not_proven: list[str] = field(default_factory=list)

    def lines(self) -> Iterator[str]:
        """Yield the page for a person."""
        yield f"bundle {self.name}"
        for title, sentences in (
            ("Wrong", self.failed),
            ("Proven", self.proven),
            ("Not proven", self.not_proven),
        ):
            if sentences:
                yield ""
                yield f"{title}:"
                yield from (f"- {sentence}" for sentence in sentences)


def verify_bundle(bundle: Path, expected: str = "") -> Verification:
    """Check all files of a bundle, and re-run its decisions.

    Nothing in the bundle is executed or changed.

    Parameters
    ----------
    bundle : pathlib.Path
        Folder that `write_bundle` made.
    expected : str
        SHA-256 of the manifest as it was noted when the bundle was made, or its beginning.

    Raises
    ------
    DeepLabStreamError
        The folder is no bundle.
    """
    manifest = bundle / MANIFEST
    if not manifest.is_file():
        raise DeepLabStreamError(
            f"{bundle} has no {MANIFEST}, so it is not an evidence bundle; ExportRun.py "
            "--to bundle makes one"
        )
    if current().resolve().is_relative_to(bundle.resolve()):
        use(ROOT)
    found = Verification(_hash(manifest))
    _check_files(bundle, found)
    _check_name(expected, found)
    if not found.failed:
        try:
            _check_run(RunFolder(bundle / RUN), found)
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            found.failed.append(
                f"the run can't be read: {type(error).__name__}: {error}"
            )
    return found


def _check_files(bundle: Path, found: Verification) -> None:
    """Compare all files with the manifest."""
    text = (bundle / MANIFEST).read_bytes()
    lines = text.decode("utf-8", "replace").splitlines()
    pairs = (line.partition("  ") for line in lines)
    listed = {name: digest for digest, _, name in pairs}
    if _manifest_of(listed).encode() != text:
        found.failed.append(
            f"{MANIFEST} was changed: its form is not that of a manifest"
        )
    there = {str(name) for name in (*_files(bundle), *_strays(bundle))}
    for name in sorted(there | listed.keys()):
        if name not in listed:
            found.failed.append(f"{name} was added")
        elif name not in there:
            found.failed.append(f"{name} is missing")
        elif (bundle / name).is_symlink() or _hash(bundle / name) != listed[name]:
            found.failed.append(f"{name} was changed")
    if not found.failed:
        found.proven.append(
            f"The {len(listed)} files have not changed since the bundle was made: each has "
            "the SHA-256 in the manifest."
        )


def _check_name(expected: str, found: Verification) -> None:
    if expected and not found.name.startswith(expected.lower()):
        found.failed.append(f"it is another bundle than {expected}")
    elif expected:
        found.proven.append("It is the bundle that --sha256 names.")
    else:
        found.not_proven.append(
            "When and by whom the bundle was made: whoever changes a file can write a new "
            "manifest. Publish the SHA-256 of the bundle, and verify with --sha256."
        )


def _check_run(folder: RunFolder, found: Verification) -> None:
    """Check the content: decisions, accounts, networks, times."""
    facts = folder.facts
    _check_decisions(folder, found)
    _check_accounts(facts["accounting"], found)
    _check_networks(folder, found)
    _check_outputs(folder, found)
    _check_alignments(folder.path / ALIGNED, found)
    found.not_proven.append(
        "That the network gives these poses on these videos: it was not run again."
    )
    _check_timing(folder, found)


def _check_decisions(folder: RunFolder, found: Verification) -> None:
    bundle = folder.path.parent
    proof = json.loads((bundle / PROOF).read_text("utf-8"))
    try:
        recorded, now = decisions(folder)
    except DeepLabStreamError as error:
        own = (bundle / PLUGINS).is_dir()
        more = "; plugins/ of the bundle holds the rig's own code" if own else ""
        found.not_proven.append(f"The decisions: {error}{more}.")
        return
    frames = now.count("\n") - 1
    written = (bundle / DECISIONS).read_bytes().decode("utf-8")
    if differ := different_lines(recorded, now):
        found.failed.append(
            f"{differ} of {frames} frames have other decisions now than were recorded"
        )
    else:
        found.proven.append(
            f"The decisions on all {frames} analysed frames follow from the recorded poses "
            "and the settings: the re-run is equal byte for byte."
        )
    if differ := different_lines(written, now):
        found.failed.append(
            f"{differ} of {frames} frames have other decisions now than when the bundle "
            "was made"
        )
    code = program_hash()
    if proof["program_sha256"] == code and not _has_own_code(bundle):
        found.not_proven.append(
            f"That the code is the same: the program is, but the own code of the rig in "
            f"{current()} is not that in {PLUGINS}/ of the bundle."
        )
    elif proof["program_sha256"] == code:
        found.proven.append("The re-run used the code that made the bundle.")
    else:
        found.not_proven.append(
            f"That the code is the same: the bundle was made by version "
            f"{proof['application']} ({proof['program_sha256'][:12]}), this is "
            f"{application_version()} ({code[:12]})."
        )


def _check_accounts(accounts: Iterable[Mapping[str, Any]], found: Verification) -> None:
    for each in accounts:
        what = f"Frames of camera {each['camera']}, {each['span']}"
        if each["closes"]:
            found.proven.append(
                f"{what}: all {each['exposed']} exposures are accounted for."
            )
        else:
            found.not_proven.append(f"{what}: the frame account does not close.")


def _check_networks(folder: RunFolder, found: Verification) -> None:
    bundle = folder.path.parent
    for name, sha256 in _networks(folder.facts).items():
        file = bundle / NETWORKS / _folder_name(name, sha256) / NETWORK
        if not file.is_file():
            found.not_proven.append(f"The network {name!r}: it is not in the bundle.")
        elif network_hash(file) == sha256:
            found.proven.append(
                f"The file {NETWORK} of the network {name!r} is that which run.json names."
            )
            found.not_proven.append(
                f"The other files of the network {name!r}, such as model.json: run.json does "
                "not name them."
            )
        else:
            found.failed.append(
                f"the network {name!r} is not that which run.json names"
            )


def _check_outputs(folder: RunFolder, found: Verification) -> None:
    """Say how many writes to outputs the devices reported back."""
    counts = Counter((row["kind"], row["name"]) for row in folder.events())
    edges = {name: count for (kind, name), count in counts.items() if kind == "edge"}
    for name, count in edges.items():
        if reported := counts["ack", name]:
            found.proven.append(
                f"Output {name}: its device reported {reported} of {count} writes."
            )
        else:
            found.not_proven.append(
                f"Output {name}: that it switched; its device reports nothing."
            )


def _check_timing(folder: RunFolder, found: Verification) -> None:
    """Say what the latency tests in the bundle show."""
    timing = _timing(folder)
    for entry in timing:
        file = folder.path.parent / TIMING / Path(entry["file"]).name
        differ = [*entry["changed"], *_differences(folder, file)]
        each = {**entry, "changed": list(dict.fromkeys(differ))}
        said = timing_sentence(each)
        if file.is_file() and _hash(file) != each["sha256"]:
            found.failed.append(f"{TIMING}/{file.name} is not what run.json names")
        elif file.is_file() and not _agree(file, entry):
            found.failed.append(f"{TIMING}/{file.name} has other figures than run.json")
        elif file.is_file() and not each["changed"]:
            found.proven.append(
                f"{said[0].upper()}{said[1:]}, with the run's settings; triggers, tracking "
                "and experiment of the run were no part of the test."
            )
        else:
            lacks = "" if file.is_file() else "; the test is not in the bundle"
            found.not_proven.append(f"The delay during the run: {said}{lacks}.")
    if not any(each["output"] for each in timing):
        found.not_proven.append(
            "The delay from exposure to output: the run names no measurement of it."
        )


def _differences(folder: RunFolder, test: Path) -> list[str]:
    """Return in what a run differs from a latency test in the bundle."""
    if not test.is_file():
        return []
    try:
        settings = load(folder.path / "settings.ini")
    except DeepLabStreamError as error:
        return [f"the settings of the run can't be read here: {error}"]
    model = folder.facts["model"] or {}
    own = model.get("cameras", {}).get(settings.deciding_camera) or model
    return differences_of_run(test, settings, str(own.get("sha256") or ""))


def _agree(test: Path, entry: Mapping[str, Any]) -> bool:
    """Return whether the file of a latency test has the figures that `run.json` states."""
    return {**measured_facts(test), "changed": entry["changed"]} == entry


def _is_complete(alignment: Path) -> bool:
    """Return whether the facts of an alignment can be read and its tables are there."""
    try:
        json.loads((alignment / FACTS).read_text("utf-8"))
    except (OSError, ValueError):
        return False
    return all((alignment / name).is_file() for name in (CLOCK, RESIDUALS))


def _check_alignments(aligned: Path, found: Verification) -> None:
    files = sorted(aligned.glob(f"*/{FACTS}"))
    for file in files:
        what = f"The clock map to the recording {file.parent.name!r}"
        if _is_complete(file.parent):
            found.proven.append(
                f"{what} is in the bundle with the residual of every edge."
            )
        else:
            found.not_proven.append(f"{what}: it is not complete in the bundle.")
    if not files:
        found.not_proven.append(
            "The agreement with another recorder's clock: the run is not aligned with one."
        )
