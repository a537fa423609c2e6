"""What README and docs say is true: their code runs, their files and commands exist."""

import argparse
import re
import runpy
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

import deeplabstream as dls
from deeplabstream.cli import TASKS
from deeplabstream.files import rig_folder
from deeplabstream.settings.loading import parse
from tests.documented import PAGES, ROOT, blocks, commands, main_of
from tools.count_doc_words import count_words
from utils.Launch import DOCS_ENVIRONMENT

MKDOCS = ROOT / DOCS_ENVIRONMENT / "bin" / "mkdocs"
FILE = re.compile(r"[Ww]rite\s+`(\w+)/(\w+)\.py`.*?```python\n(.*?)```", re.DOTALL)
LINK = re.compile(r"\]\(([^)#\s]+)[^)]*\)")
PACKAGE_LINE = re.compile(r"apt-get install -y ([\w. +\-\\\n]+)")


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


@pytest.fixture
def written(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[list[tuple[str, str]]]:
    """A page's blocks that are no files; its files are where it tells to write them."""
    page: Path = request.param
    monkeypatch.chdir(tmp_path)
    files = FILE.findall(page.read_text(encoding="utf-8"))
    rest = blocks(page)
    for package, name, code in files:
        folder = tmp_path / package
        folder.mkdir(exist_ok=True)
        (folder / f"{name}.py").write_text(code, encoding="utf-8")
        rest.remove(("python", code))
    rig_folder.use(tmp_path)
    yield rest
    rig_folder.use(ROOT)


@pytest.mark.parametrize("written", PAGES, ids=name_of, indirect=True)
def test_every_block_of_code_runs(
    written: list[tuple[str, str]], tmp_path: Path
) -> None:
    program = tmp_path / "page.py"
    python = [code for language, code in written if language == "python"]
    program.write_text("\n".join(python), encoding="utf-8")
    runpy.run_path(str(program))
    for language, code in written:
        if language == "ini":
            assert parse(code, tmp_path).text


def test_every_public_name_in_an_example_of_a_docstring_exists() -> None:
    names = {
        name
        for file in sorted((ROOT / "deeplabstream").rglob("*.py"))
        for line in file.read_text(encoding="utf-8").splitlines()
        if line.lstrip().startswith((">>> ", "... "))
        for name in re.findall(r"\bdls\.(\w+)", line)
    }
    assert names
    assert sorted(name for name in names if not hasattr(dls, name)) == []


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_link_leads_somewhere(page: Path) -> None:
    links = LINK.findall(page.read_text(encoding="utf-8"))
    files = [link for link in links if not link.startswith(("http:", "https:"))]
    assert [link for link in files if not (page.parent / link).exists()] == []


def test_every_page_has_a_line_in_the_contents() -> None:
    """Site and help window take their order from these lists."""
    for contents in (ROOT / "docs/README.md", ROOT / "docs/decisions/README.md"):
        text = contents.read_text(encoding="utf-8")
        lines = re.findall(r"^- \[[^]]+\]\(([\w.-]+\.md)\): ", text, re.MULTILINE)
        pages = {file.name for file in contents.parent.glob("*.md")} - {contents.name}
        assert set(lines) == pages
        assert len(lines) == len(pages)


def test_the_page_on_rig_folders_names_every_command_with_its_program() -> None:
    page = (ROOT / "docs/rig_folder.md").read_text(encoding="utf-8")
    text = " ".join(page.split())
    for by_name in TASKS.values():
        for name, command in by_name.items():
            program = command.module.removeprefix("utils.")
            in_utils = program != command.module
            written = (
                f"`{name}` {program}" if in_utils else f"`{name}` is `{program}.py`"
            )
            assert written in text


def test_the_hand_written_pages_stay_short() -> None:
    """A longer page is read less: cut a sentence for each one that is added."""
    assert sum(count_words().values()) <= 62_500


@pytest.mark.skipif(not MKDOCS.exists(), reason="`make docs` has not been run")
def test_the_site_builds_without_a_broken_link_and_loads_nothing_from_elsewhere(
    tmp_path: Path,
) -> None:
    built = subprocess.run(
        [str(MKDOCS), "build", "--strict", "--site-dir", str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert built.returncode == 0, built.stderr
    sources = re.compile(r'(?:src|<link[^>]*href)="(https?:[^"]+)')
    pages = [*tmp_path.rglob("*.html")]
    assert len(pages) > len(PAGES) - 2
    for page in pages:
        assert sources.findall(page.read_text(encoding="utf-8")) == [], page
    assert (tmp_path / "search").is_dir()


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_command_exists(page: Path) -> None:
    makefile = (ROOT / "Makefile").read_text("utf-8")
    targets = re.findall(r"^([\w -]+):", makefile, re.MULTILINE)[0].split()
    for command in commands(page):
        words = command.split()
        if words[:1] == ["make"]:
            assert words[1] in targets, command
        elif words[:1] == ["python"] or ".venv/bin/python" in words[:1]:
            program = ROOT / words[1]
            assert program.is_file(), command


class _UnderstoodError(Exception):
    """A program's options were taken; it need not do anything."""


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_command_is_understood_in_another_folder(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As far as its options: most need a rig, a network or hours of video."""
    monkeypatch.chdir(tmp_path)
    take = argparse.ArgumentParser.parse_args

    def only_take(
        self: argparse.ArgumentParser, words: list[str] | None = None
    ) -> None:
        take(self, words)
        raise _UnderstoodError

    monkeypatch.setattr(argparse.ArgumentParser, "parse_args", only_take)
    for command in commands(page):
        if found := main_of(command):
            main, words = found
            for (
                word
            ) in words:  # programs of other environments, such as venv/bin/litpose
                if "/bin/" in word and not Path(word).is_absolute():
                    Path(word).parent.mkdir(parents=True, exist_ok=True)
                    Path(word).touch(mode=0o755)
            with pytest.raises(_UnderstoodError):
                main(words)


def test_readme_and_ci_install_the_same_system_libraries() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    installed = re.search(r"packages=\((.*?)\)", script, re.DOTALL)
    told = PACKAGE_LINE.search(readme)
    assert installed is not None
    assert told is not None
    assert set(told[1].replace("\\", " ").split()) == set(installed[1].split())
