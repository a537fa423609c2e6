"""Verification of an evidence bundle: checks every file, and re-runs the decisions."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from deeplabstream.core.errors import DeepLabStreamError
from deeplabstream.core.visible_text import visible
from deeplabstream.engine.audited_triggers import audit_sentence
from deeplabstream.engine.measured_latency import (
    differences_of_run,
    measured_facts,
    timing_sentence,
)
from deeplabstream.evidence.bundle_files import (
    DECISIONS,
    NETWORKS,
    PLUGINS,
    PROOF,
    RUN,
    TIMING,
    bundle_files,
    code_hash,
    decisions,
    different_lines,
    file_hash,
    latency_tests,
    manifest_text,
    network_folder,
    program_hash,
)
from deeplabstream.files.foreign_files import is_special, read_json
from deeplabstream.files.paths import ROOT
from deeplabstream.files.plugin_trust import PLUGIN_FOLDERS
from deeplabstream.files.rig_folder import MANIFEST, current, is_named, use
from deeplabstream.pose.model.model_folder import NETWORK, network_hash
from deeplabstream.recording.alignment.aligned_run import (
    ALIGNED,
    CLOCK,
    FACTS,
    RESIDUALS,
)
from deeplabstream.recording.audit_files import read_audit
from deeplabstream.recording.audit_results import read_results
from deeplabstream.recording.place_account import place_accounts
from deeplabstream.recording.run_folder import RunFolder, application_version
from deeplabstream.recording.run_json import networks_of_run, validate_facts
from deeplabstream.recording.run_schema import AUDIT, AUDIT_RESULTS
from deeplabstream.settings.loading import load


def _has_own_code(bundle: Path) -> bool:
    """Return whether the current rig has the plug-ins of the rig that made the bundle."""
    here = code_hash(current(), () if current() == ROOT else PLUGIN_FOLDERS)
    return here == code_hash(bundle / PLUGINS, PLUGIN_FOLDERS)


def _strays(bundle: Path) -> Iterator[PurePosixPath]:
    """Yield the items that the manifest does not list: pipes, devices and empty folders.

    Networks and plug-ins may have had empty folders, which were copied.
    """
    copied = bundle / NETWORKS, bundle / PLUGINS
    for path in bundle.rglob("*"):
        if path.is_symlink() or path.is_file():
            continue
        of_copy = any(path.is_relative_to(folder) for folder in copied)
        if not path.is_dir() or not (of_copy or any(path.iterdir())):
            yield PurePosixPath(path.relative_to(bundle).as_posix())


@dataclass
class Verification:
    """Result of verifying a bundle."""

    name: str = ""
    """SHA-256 of the manifest."""
    failed: list[str] = field(default_factory=list)
    """Problems; empty: none."""
    proven: list[str] = field(default_factory=list)
    not_proven: list[str] = field(default_factory=list)

    def lines(self) -> Iterator[str]:
        """Yield the result as lines of text, without control characters."""
        yield f"bundle {self.name}"
        for title, sentences in (
            ("Wrong", self.failed),
            ("Proven", self.proven),
            ("Not proven", self.not_proven),
        ):
            if sentences:
                yield ""
                yield f"{title}:"
                yield from (f"- {visible(sentence)}" for sentence in sentences)


def verify_bundle(bundle: Path, expected: str = "") -> Verification:
    """Check all files of a bundle, and re-run its decisions.

    Nothing in the bundle is executed or changed. The re-run uses the plug-ins of the rig that
    was named; without one only those of the program.

    Parameters
    ----------
    bundle : pathlib.Path
        Folder that `write_bundle` made.
    expected : str
        SHA-256 of the manifest as it was noted when the bundle was made, or its beginning.

    Raises
    ------
    DeepLabStreamError
        The folder is not an evidence bundle.
    """
    manifest = bundle / MANIFEST
    if not manifest.is_file():
        raise DeepLabStreamError(
            f"{bundle} has no {MANIFEST}, so it is not an evidence bundle; ExportRun.py "
            "--to bundle makes one"
        )
    if not is_named() or current().resolve().is_relative_to(bundle.resolve()):
        use(ROOT)
    result = Verification(file_hash(manifest))
    _check_files(bundle, result)
    _check_name(expected, result)
    if not result.failed:
        try:
            _check_run(RunFolder(bundle / RUN), result)
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            result.failed.append(
                f"the run can't be read: {type(error).__name__}: {error}"
            )
    return result


def _check_files(bundle: Path, result: Verification) -> None:
    """Compare all files with the manifest."""
    text = (bundle / MANIFEST).read_bytes()
    lines = text.decode("utf-8", "replace").splitlines()
    pairs = (line.partition("  ") for line in lines)
    listed = {name: digest for digest, _, name in pairs}
    if manifest_text(listed).encode() != text:
        result.failed.append(
            f"{MANIFEST} was changed: its form is not that of a manifest"
        )
    present = {str(name) for name in (*bundle_files(bundle), *_strays(bundle))}
    for name in sorted(present | listed.keys()):
        if name not in listed:
            result.failed.append(f"{name} was added")
        elif name not in present:
            result.failed.append(f"{name} is missing")
        elif is_special(bundle / name):
            result.failed.append(f"{name} is a pipe, a socket or a device, not a file")
        elif (bundle / name).is_symlink() or file_hash(bundle / name) != listed[name]:
            result.failed.append(f"{name} was changed")
    if not result.failed:
        result.proven.append(
            f"The {len(listed)} files have not changed since the bundle was made: each has "
            "the SHA-256 in the manifest."
        )


def _check_name(expected: str, result: Verification) -> None:
    if expected and not result.name.startswith(expected.lower()):
        result.failed.append(f"it is another bundle than {expected}")
    elif expected:
        result.proven.append("It is the bundle that --sha256 names.")
    else:
        result.not_proven.append(
            "When and by whom the bundle was made: whoever changes a file can write a new "
            "manifest. Publish the SHA-256 of the bundle, and verify with --sha256."
        )


def _check_run(folder: RunFolder, result: Verification) -> None:
    """Check the content: decisions, accounts, networks, times."""
    facts = folder.facts
    _check_decisions(folder, result)
    _check_accounts(facts["accounting"], result)
    _check_networks(folder, result)
    _check_outputs(folder, result)
    _check_alignments(folder.path / ALIGNED, result)
    result.not_proven.append(
        "That the network gives these poses on these videos: it was not run again."
    )
    _check_timing(folder, result)
    _check_identity(folder, result)
    _check_audit(folder, result)


def _check_decisions(folder: RunFolder, result: Verification) -> None:
    bundle = folder.path.parent
    proof = read_json(bundle / PROOF)
    try:
        recorded, now = decisions(folder)
    except DeepLabStreamError as error:
        own = (bundle / PLUGINS).is_dir()
        more = (
            "; the rig's own code is in plugins/ of the bundle and is not run: name that "
            "rig by --rig"
            if own
            else ""
        )
        result.not_proven.append(f"The decisions: {error}{more}.")
        return
    frames = now.count("\n") - 1
    written = (bundle / DECISIONS).read_bytes().decode("utf-8")
    if differ := different_lines(recorded, now):
        result.failed.append(
            f"{differ} of {frames} frames have other decisions now than were recorded"
        )
    else:
        result.proven.append(
            f"The decisions on all {frames} analysed frames follow from the recorded poses "
            "and the settings: the re-run is equal byte for byte."
        )
    if differ := different_lines(written, now):
        result.failed.append(
            f"{differ} of {frames} frames have other decisions now than when the bundle "
            "was made"
        )
    code = program_hash()
    if proof["program_sha256"] == code and not _has_own_code(bundle):
        result.not_proven.append(
            f"That the code is the same: the program is, but the own code of the rig in "
            f"{current()} is not that in {PLUGINS}/ of the bundle."
        )
    elif proof["program_sha256"] == code:
        result.proven.append("The re-run used the code that made the bundle.")
    else:
        result.not_proven.append(
            f"That the code is the same: the bundle was made by version "
            f"{proof['application']} ({proof['program_sha256'][:12]}), this is "
            f"{application_version()} ({code[:12]})."
        )


def _check_accounts(
    accounts: Iterable[Mapping[str, Any]], result: Verification
) -> None:
    for account in accounts:
        what = f"Frames of camera {account['camera']}, {account['span']}"
        if account["closes"]:
            result.proven.append(
                f"{what}: all {account['exposed']} exposures are accounted for."
            )
        else:
            result.not_proven.append(f"{what}: the frame account does not close.")


def _check_networks(folder: RunFolder, result: Verification) -> None:
    bundle = folder.path.parent
    for name, sha256 in networks_of_run(folder.facts).items():
        file = bundle / NETWORKS / network_folder(name, sha256) / NETWORK
        if not file.is_file():
            result.not_proven.append(f"The network {name!r}: it is not in the bundle.")
        elif network_hash(file) == sha256:
            result.proven.append(
                f"The file {NETWORK} of the network {name!r} is the one named in run.json."
            )
            result.not_proven.append(
                f"The other files of the network {name!r}, such as model.json: run.json does "
                "not name them."
            )
        else:
            result.failed.append(
                f"the network {name!r} is not that which run.json names"
            )


def _check_outputs(folder: RunFolder, result: Verification) -> None:
    """State how many writes to outputs the devices reported back."""
    counts = Counter((row["kind"], row["name"]) for row in folder.events())
    edges = {name: count for (kind, name), count in counts.items() if kind == "edge"}
    for name, count in edges.items():
        if reported := counts["ack", name]:
            result.proven.append(
                f"Output {name}: its device reported {reported} of {count} writes."
            )
        else:
            result.not_proven.append(
                f"Output {name}: that it switched; its device reports nothing."
            )


def _check_timing(folder: RunFolder, result: Verification) -> None:
    """State what the latency tests in the bundle show."""
    timing = latency_tests(folder)
    for entry in timing:
        file = folder.path.parent / TIMING / Path(entry["file"]).name
        differ = [*entry["changed"], *_differences(folder, file)]
        test = {**entry, "changed": list(dict.fromkeys(differ))}
        sentence = timing_sentence(test)
        if file.is_file() and file_hash(file) != test["sha256"]:
            result.failed.append(f"{TIMING}/{file.name} is not what run.json names")
        elif file.is_file() and not _agree(file, entry):
            result.failed.append(
                f"{TIMING}/{file.name} has other figures than run.json"
            )
        elif file.is_file() and not test["changed"]:
            result.proven.append(
                f"{sentence[0].upper()}{sentence[1:]}, with the run's settings; triggers, tracking "
                "and experiment of the run were no part of the test."
            )
        else:
            lacks = "" if file.is_file() else "; the test is not in the bundle"
            result.not_proven.append(f"The delay during the run: {sentence}{lacks}.")
    if not any(test["output"] for test in timing):
        result.not_proven.append(
            "The delay from exposure to output: the run names no measurement of it."
        )


def _check_identity(folder: RunFolder, result: Verification) -> None:
    """State how many uncertain places the run of several animals has."""
    try:
        accounts = place_accounts(folder.path)
    except DeepLabStreamError as error:
        result.failed.append(f"the corrections can't be used: {error}")
        return
    for camera, account in accounts.items():
        result.not_proven.append(
            f"That the names of the animals are right. Camera {camera}: {account}."
        )


def _check_audit(folder: RunFolder, result: Verification) -> None:
    """State what the audit of the run says about the errors of its triggers."""
    try:
        audit = read_results(folder.path)
        file = None if audit is None else read_audit(folder.path)
    except DeepLabStreamError as error:
        result.failed.append(f"the audit can't be read: {error}")
        return
    if audit is None or file is None:
        earlier = validate_facts(folder.facts)[0].get("audit")
        known = audit_sentence(earlier) if earlier else "no sample of it was judged"
        result.not_proven.append(f"How often the run's triggers were right: {known}.")
    elif len(file.verdicts) != audit.verdicts:
        result.not_proven.append(
            f"The figures of the audit: {AUDIT_RESULTS} was computed from "
            f"{audit.verdicts} verdicts, {AUDIT} has {len(file.verdicts)}."
        )
    else:
        whole = [str(row) for row in audit.rows if row.hour is None]
        result.not_proven.append(
            "That the raters are right. They judged a random sample of the run: "
            f"{'; '.join([*audit.remarks(), *whole])}."
        )


def _differences(folder: RunFolder, test: Path) -> list[str]:
    """Return the settings in which a run differs from a latency test in the bundle."""
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
        read_json(alignment / FACTS)
    except (OSError, ValueError):
        return False
    return all((alignment / name).is_file() for name in (CLOCK, RESIDUALS))


def _check_alignments(aligned: Path, result: Verification) -> None:
    files = sorted(aligned.glob(f"*/{FACTS}"))
    for file in files:
        what = f"The clock map to the recording {file.parent.name!r}"
        if _is_complete(file.parent):
            result.proven.append(
                f"{what} is in the bundle with the residual of every edge."
            )
        else:
            result.not_proven.append(f"{what}: it is not complete in the bundle.")
    if not files:
        result.not_proven.append(
            "The agreement with another recorder's clock: the run is not aligned with one."
        )
