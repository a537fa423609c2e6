"""Build a release and try it: wheel and source package, each in a bare environment.

    make release                      builds dist/, tries both packages, writes checksums and notes
    make release ARGS="--only wheel"  tries one of them

Each package is installed with the command of README.md, with requirements.txt as constraints.
Then `deeplabstream new`, `doctor`, `run --headless` and 20 steps of `train` run in an empty
folder. It needs 3 GB of disk for each package while it runs, and setuptools
(requirements-dev.txt).
"""

import argparse
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
DIST = ROOT / "dist"
PROBLEMS_FOUND = 1
"""Exit code of `deeplabstream doctor` on a computer that has some, such as no camera."""
TRIALS: tuple[tuple[str, frozenset[int]], ...] = (
    ("deeplabstream new rig", frozenset({0})),
    ("deeplabstream doctor --rig rig", frozenset({0, PROBLEMS_FOUND})),
    ("deeplabstream check --rig rig", frozenset({0})),
    (
        "deeplabstream run --rig rig --headless --start experiment --seconds 15",
        frozenset({0}),
    ),
    ("deeplabstream draw-labels labels --frames 60 --walks 6", frozenset({0})),
    (
        "deeplabstream train --data labels --output network --size small --steps 20",
        frozenset({0}),
    ),
)
"""Commands that an installed package has to run, each with the exit codes that it may have."""


def main(argv: Sequence[str] | None = None) -> int:
    """Build, try, and write checksums and notes; return 1 when something failed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--only", choices=("wheel", "source"), help="try one package")
    options = parser.parse_args(argv)
    try:
        version = checked_version()
        wheel, source = build()
        packages = {"wheel": wheel, "source": source}
        for kind, package in packages.items():
            if options.only in (None, kind):
                try_package(package)
    except ReleaseError as error:
        print(f"no release: {error}", file=sys.stderr)
        return 1
    write_checksums([wheel, source])
    (DIST / "NOTES.md").write_text(notes(version, [wheel, source]), encoding="utf-8")
    print(f"Version {version} is in {DIST}")
    return 0


class ReleaseError(Exception):
    """What prevents the release, as a sentence."""


def checked_version() -> str:
    """Return the version, which all files must agree on."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    version = str(project["project"]["version"])
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    if f"\nversion: {version}\n" not in citation:
        raise ReleaseError(f"CITATION.cff does not name version {version}")
    if not changes_of(version):
        raise ReleaseError(f"CHANGELOG.md has no section {version}")
    return version


def changes_of(version: str) -> str:
    """Return the section of a version in CHANGELOG.md; empty: there is none."""
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    section = re.search(
        rf"^## {re.escape(version)}$(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL
    )
    return section[1].strip() if section else ""


def build() -> tuple[Path, Path]:
    """Build the source package from the checkout, and the wheel from the source package.

    A file that MANIFEST.in forgets is thus missing in the wheel too, and is noticed.
    """
    shutil.rmtree(DIST, ignore_errors=True)
    DIST.mkdir()
    backend = "from setuptools import build_meta; import sys; "
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        checkout = folder / "checkout"
        shutil.copytree(ROOT, checkout, ignore=_left_out)
        _run(
            [sys.executable, "-c", f"{backend}build_meta.build_sdist({str(DIST)!r})"],
            checkout,
        )
        (source,) = DIST.glob("*.tar.gz")
        shutil.unpack_archive(source, folder / "source", filter="data")
        (unpacked,) = (folder / "source").iterdir()
        _run(
            [sys.executable, "-c", f"{backend}build_meta.build_wheel({str(DIST)!r})"],
            unpacked,
        )
    (wheel,) = DIST.glob("*.whl")
    return wheel, source


def _left_out(folder: str, names: list[str]) -> set[str]:
    """Return what is not copied: what git ignores, git's own folder, and the tests."""
    unwanted = {".git", "tests", "benchmarks", "__pycache__"}
    listed = subprocess.run(
        ["git", "check-ignore", "--", *names],
        cwd=folder,
        capture_output=True,
        text=True,
    )
    return unwanted | set(listed.stdout.splitlines())


def install_command() -> tuple[str, Path]:
    """Return the extras and the constraints of the command in README.md."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    found = re.search(r'^pip install "\.\[([\w,]+)\]" -c (\S+)$', readme, re.MULTILINE)
    if found is None:
        raise ReleaseError("README.md has no command that installs the package")
    return found[1], ROOT / found[2]


def try_package(package: Path) -> None:
    """Install a package into a bare environment and run the commands of a first day."""
    extras, constraints = install_command()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        environment = folder / "environment"
        _run([sys.executable, "-m", "venv", str(environment)], folder)
        programs = environment / ("Scripts" if os.name == "nt" else "bin")
        install = [str(programs / "python"), "-m", "pip", "install", "-q"]
        _run([*install, f"{package}[{extras}]", "-c", str(constraints)], folder)
        for line, accepted in TRIALS:
            program, *arguments = line.split()
            print(f"{package.name}: {line}", flush=True)
            _run([str(programs / program), *arguments], folder, accepted)
        for made in ("rig/settings.ini", "rig/output/*/run.json", "network/model.json"):
            if not any(folder.glob(made)):
                raise ReleaseError(f"{package.name}: {made} was not written")


def _run(
    command: Sequence[str], folder: Path, accepted: frozenset[int] = frozenset({0})
) -> None:
    unset = ("PYTHONPATH", "VIRTUAL_ENV", "DEEPLABSTREAM_RIG")
    environment = {key: text for key, text in os.environ.items() if key not in unset}
    done = subprocess.run(
        command,
        cwd=folder,
        env=environment | {"QT_QPA_PLATFORM": "offscreen", "PYTHONUTF8": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
    )
    if done.returncode not in accepted:
        shown = "\n".join(done.stdout.splitlines()[-40:])
        raise ReleaseError(f"{' '.join(command)} ended with {done.returncode}\n{shown}")


def write_checksums(files: Sequence[Path]) -> None:
    """Write SHA256SUMS, as `sha256sum --check` reads it."""
    lines = [
        f"{hashlib.sha256(file.read_bytes()).hexdigest()}  {file.name}\n"
        for file in files
    ]
    (DIST / "SHA256SUMS").write_text("".join(lines), encoding="utf-8")


def notes(version: str, files: Sequence[Path]) -> str:
    """Return the release notes: what it can do, how to install it, checksums."""
    extras, _ = install_command()
    wheel = files[0].name
    sums = (DIST / "SHA256SUMS").read_text(encoding="utf-8")
    return (
        f"# DeepLabStream {version}\n\n{changes_of(version)}\n\n## Install\n\n"
        "Python 3.11; README.md in the source package lists system libraries.\n\n"
        f'    pip install "./{wheel}[{extras}]" -c requirements.txt\n'
        "    deeplabstream new my-rig\n"
        "    cd my-rig && deeplabstream run\n\n"
        f"requirements.txt is in the source package.\n\n## Checksums\n\n{_indented(sums)}"
    )


def _indented(text: str) -> str:
    return "".join(f"    {line}\n" for line in text.splitlines())


if __name__ == "__main__":
    sys.exit(main())
