"""List all problems of settings.ini without opening devices."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from deeplabstream.core.program import ending, prepare

prepare()

from collections.abc import Sequence
from importlib.util import find_spec

from deeplabstream.core.arguments import ProgramParser
from deeplabstream.core.errors import ModelError, SettingsError, package_missing
from deeplabstream.core.overwriting import add_overwrite, check_free
from deeplabstream.core.pose import Skeleton
from deeplabstream.engine.behaviour_classifiers import (
    classifier_problems,
    read_classifiers,
)
from deeplabstream.settings.settings_docs import describe
from deeplabstream.settings.loading import check_against, load
from deeplabstream.pose.model.model_folder import load_model_folder
from deeplabstream.pose.model.model_opening import find_model, outdated


@ending()
def main(argv: Sequence[str] | None = None) -> int:
    """Return 0 when the settings are right, 1 when they are not."""
    options = ProgramParser(prog="CheckSettings.py", description=__doc__)
    options.add_settings(
        "settings",
        nargs="?",
        help="file to check (default: settings.ini of the rig folder)",
    )
    options.add_argument(
        "--describe",
        nargs="?",
        const="-",
        metavar="FILE",
        help="write all keys to FILE (docs/settings.md), or print them, and exit",
    )
    add_overwrite(options)
    chosen = options.parse_args(argv)
    if chosen.describe:
        page = describe().encode()
        if chosen.describe == "-":
            sys.stdout.buffer.write(page)
        else:
            check_free([Path(chosen.describe)], chosen.overwrite)
            Path(chosen.describe).write_bytes(page)
        return 0
    problems = problems_of(chosen.settings)
    for problem in problems:
        print(problem)
    if not problems:
        print(f"{chosen.settings}: no problems")
        for name, calibration in load(chosen.settings).calibrations.items():
            print(f"[Camera {name}]: {calibration}")
    return 1 if problems else 0


def problems_of(path: Path) -> list[str]:
    """Return everything that is wrong with a settings file and the network it names."""
    try:
        rig = load(path)
    except SettingsError as error:
        return list(error.problems)
    missing = [
        f"[Output {name}] {package_missing(package)}"
        for name, output in rig.outputs.items()
        for package in dict.fromkeys(p.partition(".")[0] for p in output.packages)
        if find_spec(package) is None
    ]
    folders, problems = read_classifiers(rig)
    problems = missing + problems
    if not rig.model or rig.model.startswith("stand-in"):
        return problems + classifier_problems(rig, folders, None)
    named = {"[Pose Estimation] MODEL": rig.pose.model}
    if rig.pose.live_crop and rig.pose.detector:
        named["[Pose Estimation] DETECTOR"] = rig.pose.detector
    for name, camera in rig.cameras.items():
        if camera.analyse and camera.model and not camera.model.startswith("stand-in"):
            named[f"[Camera {name}] MODEL"] = camera.model
    skeletons: dict[str, Skeleton] = {}
    for place, model in named.items():
        try:
            folder = find_model(rig.model_named(model))
            skeletons[place] = load_model_folder(folder).skeleton
            problems += [f"{place} = {model}: {each}" for each in outdated(folder)]
        except ModelError as error:
            problems.append(f"{place} = {model}: {error}")
    usual = skeletons.get("[Pose Estimation] MODEL")
    if usual is None:
        return problems
    problems += [
        (
            f"{place} = {named[place]}: all networks of a rig need the same body "
            f"parts in the same order: {', '.join(own.bodyparts)}, not "
            f"{', '.join(usual.bodyparts)}"
        )
        for place, own in skeletons.items()
        if place.startswith("[Camera") and own.bodyparts != usual.bodyparts
    ]
    problems += classifier_problems(rig, folders, usual)
    return problems + check_against(rig, usual)


if __name__ == "__main__":
    sys.exit(main())
