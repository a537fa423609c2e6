"""Files of an evidence bundle: names, hashes, manifest, and the decisions that are compared.

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
from collections.abc import Iterable, Iterator, Mapping
from io import StringIO
from pathlib import Path, PurePosixPath
from typing import Any

from deeplabstream.core.errors import DeviceError
from deeplabstream.core.journal_entries import Step
from deeplabstream.engine.replay.rerun import commands_text, rerun_decisions
from deeplabstream.files.foreign_files import open_regular, read_bytes
from deeplabstream.files.paths import ROOT
from deeplabstream.files.rig_folder import MANIFEST
from deeplabstream.recording.cell_formats import flags_text
from deeplabstream.recording.run_folder import RunFolder
from deeplabstream.recording.run_json import validate_facts
from deeplabstream.settings.loading import load

RUN, NETWORKS, PLUGINS, TIMING = "run", "networks", "plugins", "timing"
PROOF, DECISIONS = "proof.json", "decisions.csv"
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


def network_folder(network: str, sha256: str) -> str:
    """Return the name of the folder of a network in a bundle."""
    return f"{Path(network).name}_{sha256[:8]}"


def latency_tests(folder: RunFolder) -> list[dict[str, Any]]:
    """Return the latency tests that a run names; none where the entry is damaged."""
    return list(validate_facts(folder.facts)[0].get("timing", ()))


def decisions(folder: RunFolder) -> tuple[str, str]:
    """Return the decisions of a run as tables: as recorded, and re-run now.

    One line per analysed frame: states of the triggers, status, changes of points, and
    commands. DeviceError or SettingsError: the run can't be re-run.
    """
    recorded, rerun = StringIO(), StringIO()
    tables = [csv.writer(text, lineterminator="\n") for text in (recorded, rerun)]
    for table in tables:
        table.writerow(_COLUMNS)
    settings = load(folder.path / "settings.ini")
    try:
        for steps in rerun_decisions(settings, folder):
            for table, step in zip(tables, steps, strict=True):
                table.writerow(_cells(step))
    except (OSError, ValueError, KeyError) as error:
        raise DeviceError(f"{folder.path} can't be re-run: {error}") from error
    return recorded.getvalue(), rerun.getvalue()


def _cells(step: Step) -> tuple[object, ...]:
    answers = {True: "1", False: "0", None: "unknown"}
    triggers = (f"{name} {answers[state]}" for name, state in step.answers.items())
    return (
        step.camera, step.index, "; ".join(triggers), step.status, int(step.lost),
        int(step.too_old), flags_text(step.flags), commands_text(step.commands),
    )  # fmt: skip


def different_lines(one: str, other: str) -> int:
    """Return how many lines of two texts differ, including lines that only one has."""
    lines, others = one.splitlines(), other.splitlines()
    differ = sum(a != b for a, b in zip(lines, others, strict=False))
    return differ + abs(len(lines) - len(others))


def program_hash() -> str:
    """Return the SHA-256 of the program's own code: names and contents of all modules."""
    return code_hash(ROOT, _PROGRAM)


def code_hash(root: Path, packages: Iterable[str]) -> str:
    """Return the SHA-256 of the Python files of some packages below a folder.

    Windows line ends are hashed as those of Linux: every checkout has the same hash.
    """
    digest = hashlib.sha256()
    for package in packages:
        for file in sorted((root / package).rglob("*.py")):
            name = file.relative_to(root).as_posix()
            if "/." not in name:  # hidden files are not copied
                digest.update(name.encode() + b"\0")
                digest.update(read_bytes(file).replace(b"\r\n", b"\n"))
    return digest.hexdigest()


def bundle_files(bundle: Path) -> Iterator[PurePosixPath]:
    """Yield all files, relative, in the order of the manifest, without the manifest."""
    files = (path for path in bundle.rglob("*") if path.is_file() or path.is_symlink())
    names = sorted(path.relative_to(bundle).as_posix() for path in files)
    yield from (PurePosixPath(name) for name in names if name != MANIFEST)


def file_hash(file: Path) -> str:
    """Return the SHA-256 of a file."""
    with open_regular(file) as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def manifest_text(hashes: Mapping[str, str]) -> str:
    """Return a manifest in the form that sha256sum reads."""
    return "".join(f"{digest}  {name}\n" for name, digest in hashes.items())
