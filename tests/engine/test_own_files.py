import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import experiments
from deeplabstream.core.errors import SettingsError
from deeplabstream.settings.loading import parse

HEAD = """
from pydantic.dataclasses import dataclass as settings
from deeplabstream.plugins.trigger import BodyPartTrigger
"""
FILES = {
    "baseless": "class Baseless:\n    pass\n",
    "unfinished": f"""{HEAD}
@settings(kw_only=True)
class Unfinished(BodyPartTrigger):
    def hold(self, pose, time_s):
        return True
""",
    "broken": "import no_such_package\n",
    "plain": f"""{HEAD}
class Plain(BodyPartTrigger):
    limit: int = 3
    def holds(self, pose, time_s):
        return True
""",
    "moody": f"""{HEAD}
@settings(kw_only=True)
class Moody(BodyPartTrigger):
    def __post_init__(self):
        raise RuntimeError("no mood today")
    def holds(self, pose, time_s):
        return True
""",
}


@pytest.fixture(autouse=True)
def own_files(tmp_path: Path) -> Iterator[None]:
    for name, code in FILES.items():
        (tmp_path / f"{name}.py").write_text(code, encoding="utf-8")
    experiments.__path__.append(str(tmp_path))
    yield
    experiments.__path__.remove(str(tmp_path))
    for name in FILES:
        sys.modules.pop(f"experiments.{name}", None)


def problems(kind: str) -> list[str]:
    text = f"""[Camera a]
KIND = SimulatedCamera
[Trigger t]
KIND = {kind}
BODYPARTS = nose
"""
    with pytest.raises(SettingsError) as caught:
        parse(text, Path())
    return list(caught.value.problems)


def test_a_file_that_can_not_be_read_is_named_where_its_class_is_missed() -> None:
    first, second = problems("Brkn")
    assert first.startswith("experiments/broken.py can't be read: ModuleNotFoundError")
    assert second.startswith("[Trigger t] KIND = Brkn: unknown")


def test_a_class_without_its_decorator_is_explained() -> None:
    (problem,) = problems("Plain")
    assert problem.startswith("[Trigger t] KIND = Plain: its class needs @settings")


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("Baseless", "must be a subclass of Trigger: class Baseless(Trigger)"),
        ("Unfinished", "needs the method holds"),
    ],
)
def test_a_class_that_is_no_plug_in_of_its_family_is_explained(
    kind: str, said: str
) -> None:
    assert f"[Trigger t] KIND = {kind}: its class {said}" in problems(kind)


def test_a_class_that_fails_is_a_sentence() -> None:
    assert problems("Moody") == ["[Trigger t]: no mood today"]
