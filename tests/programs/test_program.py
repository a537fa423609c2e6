"""A program is declared once: command line, form, page and checks come from one class."""

import inspect
import sys
from pathlib import Path
from typing import Literal

import pytest

from deeplabstream.core.errors import DeepLabStreamError
from deeplabstream.files.paths import ROOT
from deeplabstream.gui.form_fields import form_fields
from deeplabstream.programs.program import Program, ProgramGroup
from deeplabstream.programs.shared_options import overwrite
from deeplabstream.settings.option_fields import option, program_options
from tools.program_docs import options_table, page


@program_options
class Count:
    """Options of a test."""

    files: tuple[Path, ...] = option(title="Files", positional=True)
    """Files to read."""
    most_ms: float = option(
        default=8.0,
        ge=0.5,
        le=100,
        title="At most",
        metavar="MS",
        unit="ms",
        advanced=True,
    )
    """Longest time in ms."""
    kinds: tuple[Literal["a", "b"], ...] = option(default=("a",), title="Kinds")
    """What is counted, up to `most_ms`."""
    spans: tuple[tuple[int, int], ...] = option(
        default=(), repeated=True, metavar=("FIRST", "LAST")
    )
    """First and last line."""
    metrics: bool = option(default=True)
    """Write the metrics."""
    overwrite: bool = overwrite()
    command: str = option(default="")
    """The command that was used."""


def count(options: Count) -> int:
    sys.stdout.write(f"{options.most_ms}")
    return 3


COUNT = Program(Count, count, "Count lines.", "CountLines")


def test_the_function_gets_what_the_command_line_says() -> None:
    options = COUNT.read(
        ["a.txt", "b.txt", "--most-ms", "20", "--kinds", "a", "b", "--spans", "1", "4",
         "--spans", "6", "7", "--no-metrics", "--overwrite"]
    )  # fmt: skip
    assert options == Count(
        files=(Path("a.txt"), Path("b.txt")), most_ms=20, kinds=("a", "b"),
        spans=((1, 4), (6, 7)), metrics=False, overwrite=True,
        command=options.command,
    )  # fmt: skip
    assert options.command.startswith(
        "python utils/CountLines.py a.txt b.txt --most-ms"
    )


def test_what_is_left_out_has_the_default_of_the_class(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert COUNT.main(["a.txt"]) == 3
    assert capsys.readouterr().out == "8.0"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("0", "a number from 0.5 to 100"),
        ("nan", "a number from 0.5 to 100"),
        ("x", "a number"),
        ("", "a number"),
    ],
)
def test_a_bad_option_is_named_as_it_is_typed(
    value: str, expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        COUNT.main(["a.txt", "--most-ms", value])
    assert ended.value.code == 2
    error = capsys.readouterr().err
    assert f"--most-ms = {value!r}: expected {expected}" in error


def test_a_python_user_gets_the_same_check() -> None:
    with pytest.raises(DeepLabStreamError, match="most_ms = 0: expected a number from"):
        Count(files=(Path("a"),), most_ms=0)
    with pytest.raises(DeepLabStreamError, match="kinds"):
        Count(files=(Path("a"),), kinds=("c",))  # type: ignore[arg-type]


def test_one_declaration_is_in_the_help_the_form_the_page_and_the_signature() -> None:
    help_text = " ".join(COUNT.parser().format_help().split())
    assert (
        "--most-ms MS Longest time in ms (a number from 0.5 to 100; default: 8.0)"
        in help_text
    )
    assert "What is counted, up to --most-ms (default: a)" in help_text

    fields = {field.key: field for field in form_fields(Count)}
    assert list(fields) == ["Files", "--most-ms", "--kinds"]
    field = fields["--most-ms"]
    assert (field.kind, field.label, field.default) == ("number", "At most", "8")
    assert (field.lowest, field.highest, field.unit) == (0.5, 100, "ms")
    assert field.advanced
    assert not field.required
    assert fields["--kinds"].kind == "several"
    assert fields["Files"].kind == "paths"

    table = "\n".join(options_table(Count))
    row = "| `--most-ms` | a number from 0.5 to 100 | 8.0 | Longest time in ms |"
    assert row in table
    assert "`--command`" not in table

    assert inspect.signature(Count).parameters["most_ms"].default == 8.0
    assert "most_ms : float\n    Longest time in ms" in (inspect.getdoc(Count) or "")


def test_the_page_of_all_options_is_that_of_the_programs() -> None:
    written = (ROOT / "docs/program_options.md").read_text("utf-8")
    assert written == page(), "python -m tools.program_docs docs/program_options.md"


@program_options
class InRun:
    """Options before the sub-command."""

    run: Path = option(positional=True)
    """Run folder."""


@program_options
class Remove(InRun):
    """Options of a sub-command."""

    number: int = option(ge=1)
    """Number of the entry."""


def test_a_sub_command_has_the_options_of_the_group_and_its_own() -> None:
    done: list[InRun] = []

    def remember(options: InRun) -> int:
        done.append(options)
        return 0

    group = ProgramGroup(
        {
            "list": Program(InRun, remember, "list all", "Entries"),
            "remove": Program(Remove, remember, "remove one", "Entries"),
        },
        "Entries of a run.",
        "Entries",
        InRun,
    )
    assert group.main(["folder", "remove", "--number", "4"]) == 0
    assert group.main(["folder", "list"]) == 0
    assert done == [Remove(run=Path("folder"), number=4), InRun(run=Path("folder"))]
    with pytest.raises(SystemExit):
        group.main(["folder", "remove", "--number", "0"])
