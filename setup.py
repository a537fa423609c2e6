"""Build of the package: the library, and below `deeplabstream/rig/` what is at the root.

pyproject.toml has all else. A wheel holds the same programs, plug-ins, networks and pages as
a checkout; `deeplabstream.files.paths.ROOT` finds them in both.
"""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

HERE = Path(__file__).resolve().parent
RIG = (
    "app.py",
    "DeepLabStream.py",
    "settings.ini",
    "cameras",
    "experiments",
    "outputs",
    "utils",
    "models",
    "firmware",
    "docs",
)
"""What a checkout has at its root and an installed package in `deeplabstream/rig/`."""
LEFT_OUT = shutil.ignore_patterns("__pycache__", "*.pyc", "*.unsaved.ini")


class BuildWithRig(build_py):
    """Copy the whole library, its data files included, and the rig."""

    def run(self) -> None:
        """Build as usual, then add the files; an editable installation uses the checkout."""
        super().run()
        if self.editable_mode:
            return
        library = Path(self.build_lib, "deeplabstream")
        if (library / "rig").exists():  # of an earlier build
            shutil.rmtree(library / "rig")
        shutil.copytree(
            HERE / "deeplabstream", library, ignore=LEFT_OUT, dirs_exist_ok=True
        )
        for name in RIG:
            source, target = HERE / name, library / "rig" / name
            if source.is_dir():
                shutil.copytree(source, target, ignore=LEFT_OUT)
            else:
                target.parent.mkdir(exist_ok=True)
                shutil.copy2(source, target)


setup(cmdclass={"build_py": BuildWithRig})
