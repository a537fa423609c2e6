"""A folder is a registry: what lies in it can be named in settings.ini."""

import importlib
import inspect
import pkgutil
from dataclasses import dataclass, field
from types import ModuleType
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class Found(Generic[T]):
    """The plug-ins of one folder, by class name, and the files that could not be read."""

    classes: dict[str, type[T]] = field(default_factory=dict)
    problems: tuple[str, ...] = ()


def discover(package: ModuleType, contract: type[T]) -> Found[T]:
    """Import every file of a folder and return its concrete subclasses of `contract`.

    A file that can't be imported is a problem with a sentence, not a crash; files import
    their vendor's package only when a device is opened, so this loads no driver.
    """
    classes: dict[str, type[T]] = {}
    problems = []
    for info in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        try:
            module = importlib.import_module(info.name)
        except Exception as error:  # a lab's own file may fail in any way
            place = info.name.replace(".", "/") + ".py"
            problems.append(f"{place} can't be read: {type(error).__name__}: {error}")
            continue
        for name, member in inspect.getmembers(module, inspect.isclass):
            if member.__module__ != info.name or inspect.isabstract(member):
                continue
            if issubclass(member, contract):
                classes[name] = member
    return Found(classes, tuple(problems))
