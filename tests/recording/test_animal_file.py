"""Files of animals, and the program that lists them."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from deeplabstream.core.errors import DeviceError
from deeplabstream.programs.list_animals import PROGRAM
from deeplabstream.recording.animal_file import (
    Animal,
    AnimalEntry,
    animal_file,
    animal_in_use,
    read_animal,
    write_animal,
)

NOW = datetime(2026, 11, 25, 19, tzinfo=UTC)


def entry(stage: int, experiment: str = "shaping") -> AnimalEntry:
    values = {"FIRST_STAGE": str(stage)}
    return AnimalEntry(time=NOW, experiment=experiment, values=values, run="runs/1")


def test_the_newest_values_of_each_experiment_hold_and_all_are_kept(
    tmp_path: Path,
) -> None:
    file = animal_file(tmp_path, "m1")
    weighed = AnimalEntry(time=NOW, weight_g=21.5)
    animal = read_animal(file).after(entry(2)).after(entry(1, "other")).after(weighed)
    write_animal(file, animal.after(entry(3)))

    read = read_animal(file)
    assert read == animal.after(entry(3))
    assert read.values("shaping") == {"FIRST_STAGE": "3"}
    assert read.values("other") == {"FIRST_STAGE": "1"}
    assert read.weight == weighed
    assert len(read.history) == 4


@pytest.mark.parametrize("text", ["", "{", "[]", '{"history": [{}]}', '{"animal": 1}'])
def test_a_damaged_file_is_refused_and_kept(tmp_path: Path, text: str) -> None:
    file = animal_file(tmp_path, "m1")
    file.write_text(text)
    with pytest.raises(DeviceError, match=r"m1\.json can't be read"):
        read_animal(file)
    assert file.read_text() == text


@pytest.mark.parametrize(
    "name", ["", "../m1", "a/b", ".m1", "m1.", "a:b", "CON", "nul", "com1", "aux.2"]
)
def test_a_name_that_is_no_file_name_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(DeviceError, match="ANIMAL"):
        animal_file(tmp_path, name)


def test_names_that_begin_like_a_device_are_those_of_files(tmp_path: Path) -> None:
    for name in ("control", "com", "m1 con"):
        assert animal_file(tmp_path, name).stem == name


def test_the_file_of_another_animal_is_refused_and_kept(tmp_path: Path) -> None:
    file = animal_file(tmp_path, "m1")
    write_animal(file, Animal(animal="M1").after(entry(2)))
    text = file.read_text()
    with pytest.raises(DeviceError, match=r"of the animal M1: names .* more than case"):
        read_animal(file)
    assert file.read_text() == text


def test_an_animal_is_in_one_run_at_a_time(tmp_path: Path) -> None:
    file = animal_file(tmp_path / "new", "m1")
    with animal_in_use(file):
        with (
            pytest.raises(DeviceError, match="m1 is in another run"),
            animal_in_use(file),
        ):
            pass
        with animal_in_use(animal_file(tmp_path / "new", "m2")):
            pass
    with animal_in_use(file):
        pass


def test_the_program_lists_animals_and_stores_weights(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_animal(animal_file(tmp_path, "m1"), Animal(animal="m1").after(entry(2)))
    words = ["--folder", str(tmp_path)]
    assert PROGRAM.main([*words, "--animal", "m2", "--weight", "20"]) == 0
    capsys.readouterr()
    assert PROGRAM.main(words) == 0
    first, second, third = capsys.readouterr().out.splitlines()
    assert first == "m1"
    assert second.startswith("    shaping: FIRST_STAGE = 2 (since 2026-11-2")
    assert third.startswith("m2: 20 g (")

    animal_file(tmp_path, "m3").write_text("{")
    assert PROGRAM.main(words) == 1
    assert "m3.json can't be read" in capsys.readouterr().out


def test_a_rig_without_a_folder_has_no_animals_to_list(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "settings.ini"
    file.write_text("[Camera top]\nKIND = SimulatedCamera\n")
    assert PROGRAM.main(["--settings", str(file)]) != 0
    assert "PROGRESS_FOLDER is empty" in capsys.readouterr().err
