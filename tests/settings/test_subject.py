from datetime import datetime
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from deeplabstream.settings.loading import parse
from deeplabstream.settings.subject import Subject
from tests.engine.small_rig import RIG, problems

STARTED = datetime(2026, 11, 21, 9, 5, 7)  # noqa: DTZ001


@pytest.mark.parametrize(
    ("template", "name"),
    [
        ("{date}_{time}", "2026-11-21_09-05-07"),
        ("{date}_{animal}_{experiment}", "2026-11-21_m 7_light"),
        ("{group}_{animal}", "m 7"),
        ("{experimenter}", "Ada-Bo"),
        ("{group}", "2026-11-21_09-05-07"),
    ],
)
def test_run_folders_are_called_as_the_lab_wants(template: str, name: str) -> None:
    subject = Subject(experimenter="Ada/Bo", animal="m 7", run_name=template)
    assert subject.folder_name(STARTED, "light") == name


@example(".", "")
@example("..", "")
@given(st.text(max_size=20), st.text(max_size=20))
def test_no_name_leaves_the_output_directory(animal: str, experimenter: str) -> None:
    subject = Subject(
        animal=animal, experimenter=experimenter, run_name="{animal}_{experimenter}"
    )
    name = subject.folder_name(STARTED, "light")
    assert name
    assert Path(name).name == name
    assert name not in (".", "..")


def test_unknown_places_are_told() -> None:
    (problem,) = problems(RIG + "[Session]\nRUN_NAME = {mouse}_{time}\n")
    assert problem.startswith(
        "[Session] RUN_NAME = {mouse}_{time}: may contain only {date}"
    )


def test_what_is_known_of_the_animal_is_in_the_settings(tmp_path: Path) -> None:
    text = RIG + "[Session]\nANIMAL = m7\nNOTES = first day, calm\n"
    facts = parse(text, tmp_path).subject.facts()
    assert facts["animal"] == "m7"
    assert facts["notes"] == "first day, calm"


@pytest.mark.parametrize(
    "template", ["{date:{time}}", "{date!r}", "{date:>9}", "{0}", "{date"]
)
def test_a_run_name_holds_plain_places_only(template: str) -> None:
    (problem,) = problems(RIG + f"[Session]\nRUN_NAME = {template}\n")
    assert problem.startswith(
        f"[Session] RUN_NAME = {template}: may contain only {{date}}"
    )


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("SPECIES = mouse", "expected a Latin name such as Mus musculus"),
        ("AGE = 90 days", "expected a duration by ISO 8601"),
        ("SEX = f", "M"),
    ],
)
def test_species_sex_and_age_have_the_form_that_nwb_requires(
    line: str, expected: str
) -> None:
    (problem,) = problems(RIG + f"[Session]\n{line}\n")
    assert problem.startswith(f"[Session] {line}")
    assert expected in problem


def test_species_sex_and_age_are_saved_with_the_run(tmp_path: Path) -> None:
    words = "SPECIES = Mus musculus\nSEX = F\nAGE = P8W/P10W\n"
    facts = parse(RIG + "[Session]\n" + words, tmp_path).subject.facts()
    assert (facts["species"], facts["sex"], facts["age"]) == (
        "Mus musculus",
        "F",
        "P8W/P10W",
    )
