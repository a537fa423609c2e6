"""Plug-in discovery: imports the classes of a plug-in folder by name."""

import importlib
import inspect
import pkgutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any, Generic, TypeVar

from deeplabstream.plugins.former_names import outdated_names

T = TypeVar("T")


@dataclass(frozen=True)
class DiscoveredPlugins(Generic[T]):
    """The plug-ins of one folder, by class name, and the files that could not be read."""

    classes: dict[str, type[T]] = field(default_factory=dict)
    problems: tuple[str, ...] = ()
    unusable: dict[str, str] = field(default_factory=dict)
    """Why a class in one of the files cannot be used, by class name."""
    clashes: tuple[str, ...] = ()
    """Files and classes of a rig folder that have the name of another one."""


def plugin_package(name: str) -> ModuleType:
    """Return the package of plug-ins `cameras`, `outputs` or `experiments`.

    Imported by name: the library depends on the contracts of plug-ins, not on their files.
    """
    return importlib.import_module(name)


def discover(package: ModuleType, contract: type[T]) -> DiscoveredPlugins[T]:
    """Import every file of a folder and return its concrete subclasses of `contract`.

    A file that can't be imported is a problem with a sentence, not a crash; files import
    their vendor's package only when a device is opened, so this loads no driver.
    """
    classes: dict[str, type[T]] = {}
    problems = []
    unusable = {}
    clashes = []
    start = f"{package.__name__}."
    for info in pkgutil.walk_packages(package.__path__, start, lambda name: None):
        place = info.name.replace(".", "/") + ".py"
        if outdated := "; ".join(outdated_names(_source_file(info))):
            problems.append(f"{place} was written for an earlier version: {outdated}")
            continue
        try:
            module = importlib.import_module(info.name)
        except Exception as error:  # a lab's own file can raise any exception
            problems.append(f"{place} can't be read: {type(error).__name__}: {error}")
            continue
        for name, member in sorted(vars(module).items()):
            if not isinstance(member, type) or member.__module__ != info.name:
                continue
            if not issubclass(member, contract):
                base = contract.__name__
                unusable[name] = (
                    f"its class must be a subclass of {base}: class {name}({base})"
                )
            elif inspect.isabstract(member):
                methods = " and ".join(sorted(vars(member)["__abstractmethods__"]))
                unusable[name] = f"its class needs the method {methods}"
            elif renamed := _former_methods(member, info.name):
                unusable[name] = f"its class is of an earlier version: {renamed}"
            elif name in classes:
                clashes.append(
                    f"{inspect.getfile(member)}: the class {name} has the name of a class in "
                    f"{inspect.getfile(classes[name])}: give it another name"
                )
            else:
                classes[name] = member
    return DiscoveredPlugins(
        classes, tuple(problems), unusable, (*_files_twice(package), *clashes)
    )


def _source_file(info: pkgutil.ModuleInfo) -> Path:
    finder: Any = info.module_finder
    return Path(finder.path, info.name.rpartition(".")[2]).with_suffix(".py")


def _former_methods(kind: type, module: str) -> str:
    """Return which methods of a class have names of earlier versions; empty: none.

    Base classes in the same file count, as they are the user's too.
    """
    former: dict[str, str] = getattr(kind, "former_methods", {})
    defined = {
        name
        for base in kind.__mro__
        if base.__module__ == module
        for name in vars(base)
    }
    renamed = [
        f"{old}() is {new}() now" for old, new in former.items() if old in defined
    ]
    return ", ".join(renamed)


def _files_twice(package: ModuleType) -> Iterator[str]:
    """Yield a sentence for each module that several folders of a package have.

    A package that extends over both folders, as `experiments.triggers`, is one package.
    """
    first: dict[str, str] = {}
    for folder in package.__path__:
        for info in pkgutil.iter_modules([folder]):
            if info.name not in first:
                first[info.name] = _file(folder, info)
                continue
            inner = sys.modules.get(f"{package.__name__}.{info.name}")
            if inner is not None and len(getattr(inner, "__path__", ())) > 1:
                continue
            yield (
                f"{_file(folder, info)} has the name of {first[info.name]}: "
                "give it another name"
            )
    for name in first:
        inner = sys.modules.get(f"{package.__name__}.{name}")
        if inner is not None and len(getattr(inner, "__path__", ())) > 1:
            yield from _files_twice(inner)


def _file(folder: str, info: pkgutil.ModuleInfo) -> str:
    return str(Path(folder, info.name if info.ispkg else f"{info.name}.py"))
