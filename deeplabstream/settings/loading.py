"""Settings loading: settings.ini as one typed object; no hardware is touched."""

import re
from collections.abc import Mapping
from dataclasses import replace
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Any

from deeplabstream.core.command import CameraName, InputName, OutputName, TriggerName
from deeplabstream.core.errors import SettingsError
from deeplabstream.core.regions import Region
from deeplabstream.core.space_pose import SPACE
from deeplabstream.files.rig_folder import use_for_settings
from deeplabstream.plugins.camera import Camera
from deeplabstream.plugins.discovery import DiscoveredPlugins, discover, plugin_package
from deeplabstream.plugins.experiment import Experiment
from deeplabstream.plugins.input import Input
from deeplabstream.plugins.output import Output
from deeplabstream.plugins.remote import Remote
from deeplabstream.plugins.trigger import Trigger, named_by
from deeplabstream.pose.background.background_detector import BackgroundSubtraction
from deeplabstream.settings.actor_triggers import actor_trigger_problem, actor_values
from deeplabstream.settings.animals import Animals, parse_names
from deeplabstream.settings.arena_instances import (
    experiment_problems,
    in_arena,
    missing_outputs,
    output_problems,
    place_problem,
    references,
    trigger_in_arena,
    triggers_in_each_arena,
)
from deeplabstream.settings.arenas import (
    ARENA,
    ARENAS,
    NO_EXPERIMENT,
    NO_SUBJECT,
    Arenas,
    SingleArena,
    arena_experiment_problems,
    arena_regions,
    subject_problems,
    unused_problems,
)
from deeplabstream.settings.cross_checks import (
    animal_problems,
    arena_animal_problems,
    arena_problems,
    check_against,
    dose_problems,
    measure_problems,
    pulse_problems,
    remember_problems,
    retention_problems,
    shelter_problems,
    synchronisation_problems,
    tag_problems,
    unit_problems,
)
from deeplabstream.settings.fields import Maker, Section, keys_of
from deeplabstream.settings.ini_reading import SectionTexts, read_sections, read_text
from deeplabstream.settings.light_checks import light_problems
from deeplabstream.settings.light_section import LightSection
from deeplabstream.settings.retention_section import Retention
from deeplabstream.settings.sections import (
    Classification,
    ExperimentRun,
    Measures,
    PoseEstimation,
    Recording,
    Settings,
    Streaming,
    Video,
)
from deeplabstream.settings.space_checks import space_problems
from deeplabstream.settings.space_section import Space
from deeplabstream.settings.subject import Subject
from deeplabstream.settings.tracking import Tracking
from deeplabstream.settings.v1_import.moved_keys import MOVED, MOVED_SECTIONS
from deeplabstream.settings.validation_messages import guess, leaves

__all__ = ["FAMILIES", "FIXED", "Settings", "check_against", "load", "parse"]

FIXED: dict[str, type] = {
    "Streaming": Streaming,
    "Pose Estimation": PoseEstimation,
    "Background Subtraction": BackgroundSubtraction,
    "Animals": Animals,
    ARENAS: Arenas,
    "Experiment": ExperimentRun,
    "Recording": Recording,
    "Retention": Retention,
    "Video": Video,
    "Session": Subject,
    "Tracking": Tracking,
    "Measures": Measures,
    "Space": Space,
    "Light Cycle": LightSection,
}
"""The sections that are there once."""
NAMED: dict[str, type] = {
    "Tracking": Tracking,
    "Classifier": Classification,
    ARENA: SingleArena,
}
"""The sections that have a NAME (of a camera: Tracking), and no KIND."""
FAMILIES: dict[str, tuple[Any, type]] = {
    "Camera": (plugin_package("cameras"), Camera),
    "Output": (plugin_package("outputs"), Output),
    "Input": (plugin_package("outputs"), Input),
    "Remote": (plugin_package("outputs"), Remote),
    "Trigger": (plugin_package("experiments"), Trigger),
    "Experiment": (plugin_package("experiments"), Experiment),
}
"""The sections that have a NAME, and the folders of their KIND."""

NAME = re.compile(r"(?!(con|prn|aux|nul|com\d|lpt\d)$)[\w-]+( [\w-]+)*", re.IGNORECASE)
"""Pattern of section NAMEs, which are also used as file names."""

BOX = "Box"
"""Family of the sections of a rack file, which settings.ini does not have."""

_NAMING = {
    "Trigger": TriggerName,
    "Output": OutputName,
    "Input": InputName,
    "Camera": CameraName,
}


def load(path: Path) -> Settings:
    """Return the settings of a file; SettingsError has all its problems."""
    try:
        return parse(read_text(path), path.resolve().parent)
    except SettingsError as error:
        # Problems of a section name it; those of a line need the file.
        problems = [
            f"{path.name}: {problem}" if problem.startswith("line ") else problem
            for problem in error.problems
        ]
        raise SettingsError(problems) from error


def parse(text: str, folder: Path) -> Settings:
    """Return the settings in `text`; relative paths in it start at `folder`."""
    return _Reading(text, folder).settings()


class _Reading:
    """One reading of a settings file, collecting every problem on its way."""

    def __init__(self, text: str, folder: Path) -> None:
        self._text, self._folder = text, folder
        use_for_settings(folder)
        found = read_sections(text)
        self._texts = found.texts
        self._problems = list(found.problems)
        self._found: dict[str, DiscoveredPlugins[Any]] = {
            family: discover(folder, kind)
            for family, (folder, kind) in FAMILIES.items()
        }
        for plugins in self._found.values():
            self._problems += plugins.clashes
        self._names: dict[str, list[str]] = {family: [] for family in FAMILIES}
        self._makers: dict[str, dict[str, Maker[Any]]] = {
            family: {} for family in FAMILIES
        }
        self._in_each_arena: frozenset[str] = frozenset()
        """The triggers that are declared once and made for each arena."""

    def settings(self) -> Settings:
        """Return the settings, or raise everything that is wrong with them."""
        fixed = {title: self._load_fixed_section(title) for title in FIXED}
        streaming: Streaming = fixed["Streaming"]
        run: ExperimentRun = fixed["Experiment"]
        named: dict[str, dict[str, Any]] = {family: {} for family in NAMED}
        for title, texts in self._texts.items():
            family, _, name = title.partition(" ")
            if family in NAMED and name:
                if maker := self._maker(title, family, NAMED[family], texts):
                    named[family][name] = maker()
            elif title not in FIXED:
                self._load_named_section(title, texts, streaming)
        arenas = self._arenas(fixed[ARENAS], named[ARENA])
        animals: Animals = fixed["Animals"]
        self._problems += filter(None, [animals.too_many])
        subjects: dict[str, str] = fixed[ARENAS].subject_of
        self._problems += subject_problems(subjects, arenas)
        if arenas:
            self._problems += arena_animal_problems(animals)
            animals = replace(animals, names=tuple(arenas))
        self._choose_experiment("[Experiment] EXP_NAME", run.exp_name)
        in_arenas: dict[str, str] = fixed[ARENAS].experiment_of
        self._problems += arena_experiment_problems(fixed[ARENAS], arenas)
        for name in dict.fromkeys(in_arenas.values()):
            if name != NO_EXPERIMENT:
                self._choose_experiment("[Arenas] EXPERIMENTS", name)
        if arenas:
            self._add_arena_triggers(arenas)
        self._add_actor_triggers(run)
        makers = self._makers
        used = None if streaming.multiple_devices else 1
        rig = Settings(
            streaming=streaming,
            pose=fixed["Pose Estimation"],
            background=fixed["Background Subtraction"],
            animals=animals,
            arenas=arenas,
            plate=fixed[ARENAS],
            subjects={k: it for k, it in subjects.items() if it != NO_SUBJECT},
            arena_experiments={k: it for k, it in in_arenas.items() if k in arenas},
            in_each_arena=self._in_each_arena,
            experiment=run,
            recording=fixed["Recording"],
            retention=fixed["Retention"],
            subject=fixed["Session"],
            measures=fixed["Measures"],
            space=fixed["Space"],
            light=fixed["Light Cycle"],
            video=fixed["Video"],
            tracking={"": fixed["Tracking"], **named["Tracking"]},
            classifiers=named["Classifier"],
            cameras={
                name: maker() for name, maker in [*makers["Camera"].items()][:used]
            },
            outputs={name: maker() for name, maker in makers["Output"].items()},
            inputs={name: maker() for name, maker in makers["Input"].items()},
            remotes={name: maker() for name, maker in makers["Remote"].items()},
            triggers=makers["Trigger"],
            experiments=makers["Experiment"],
            folder=self._folder,
            text=self._text,
        )
        self._check_names(rig)
        if self._problems:
            raise SettingsError(list(dict.fromkeys(self._problems)))
        return rig

    def _arenas(
        self, grid: Arenas, single: Mapping[str, SingleArena]
    ) -> dict[str, Region]:
        """Return the arenas by name; none after a problem of a name."""
        self._problems += unused_problems(grid)
        try:
            parse_names(tuple({**grid.grid, **single}))
        except ValueError as error:
            self._problems.append(f"[Arena NAME]: {error}")
            return {}
        return arena_regions(grid, single)

    def _load_fixed_section(self, title: str) -> Any:
        kind, texts = FIXED[title], self._texts.get(title, {})
        section = Section[Any](title, kind, texts, self._folder)
        maker = section.maker(lambda key: MOVED.get((title, key)))
        self._problems += section.problems
        if maker is None:  # its valid parts can still be checked against the rest
            right = {key: texts[key] for key in texts.keys() - section.bad}
            maker = Section[Any](title, kind, right, self._folder).maker(str)
        return maker() if maker else kind()

    def _load_named_section(
        self, title: str, texts: SectionTexts, streaming: Streaming
    ) -> None:
        family, _, name = title.partition(" ")
        if family not in FAMILIES or not name:
            self._report_unknown_section(title)
            return
        # the arena of an output follows a dot; `output_problems` checks which
        base = name.partition(".")[0] if family == "Output" else name
        if not NAME.fullmatch(base):
            self._problems.append(
                f"[{title}]: NAME may contain letters, digits, spaces, - and _ "
                "only (it becomes part of file names)"
            )
            return
        self._names[family].append(name)
        texts = dict(texts)
        kinds = self._found[family].classes
        word = texts.pop("KIND", name if family == "Experiment" else None)
        if word in kinds:
            if family == "Camera":
                texts = _defaults(kinds[word], streaming) | texts
            maker = self._maker(title, family, kinds[word], texts)
            if maker:
                self._makers[family][name] = maker
            return
        if word is None:
            problem = f"[{title}] KIND: is missing{guess('', kinds, len(kinds))}"
        else:
            why = self._found[family].unusable.get(word)
            why = f": {why}" if why else f": unknown{guess(word, kinds, len(kinds))}"
            problem = f"[{title}] KIND = {word}{why}"
        self._problems += [*self._found[family].problems, problem]

    def _report_unknown_section(self, title: str) -> None:
        if place := MOVED_SECTIONS.get(title):
            self._problems.append(f"[{title}]: {place}")
        elif title.partition(" ")[0] == BOX:
            self._problems.append(f"[{title}]: belongs in a rack file")
        elif title in FAMILIES:
            self._problems.append(f"[{title}]: needs a name, [{title} NAME]")
        else:
            name = title.partition(" ")[2]
            named = [f"{kind} {name or 'NAME'}" for kind in (*FAMILIES, *NAMED)]
            known = [f"[{word}]" for word in [*FIXED, *named]]
            near = guess(f"[{title}]", known)
            self._problems.append(f"[{title}]: unknown section{near}")

    def _maker(self, title: str, family: str, kind: type, texts: SectionTexts) -> Any:
        section = Section[Any](title, kind, texts, self._folder)
        maker = section.maker(lambda key: MOVED.get((family, key)))
        self._problems += section.problems
        return maker

    def _choose_experiment(self, place: str, name: str) -> None:
        """Check that an experiment exists; one without a section has its defaults."""
        if not name or name in self._names["Experiment"]:
            return
        if kind := self._found["Experiment"].classes.get(name):
            self._names["Experiment"].append(name)
            maker = self._maker(f"Experiment {name}", "Experiment", kind, {})
            if maker:
                self._makers["Experiment"][name] = maker
            return
        known = [*self._names["Experiment"], *self._found["Experiment"].classes]
        self._problems.append(
            f"{place} = {name}: no section [Experiment {name}]{guess(name, known)}"
        )

    def _add_arena_triggers(self, arenas: Mapping[str, Region]) -> None:
        """Replace the triggers that are made for each arena by NAME.ARENA."""
        makers, names = self._makers["Trigger"], self._names["Trigger"]
        each = triggers_in_each_arena(makers)
        self._in_each_arena = frozenset(each)
        self._problems += filter(None, [place_problem(it, makers[it]) for it in each])

        for name in each:
            maker = makers.pop(name)
            names.remove(name)
            for arena, region in arenas.items():
                made = trigger_in_arena(maker, arena, region, self._in_each_arena)
                makers[in_arena(name, arena)] = made
                names.append(in_arena(name, arena))

    def _add_actor_triggers(self, run: ExperimentRun) -> None:
        """Add the triggers that sections name as NAME.ANIMAL: NAME with ACTOR = ANIMAL."""
        makers = self._makers["Trigger"]
        named = [("[Experiment] STOP_TRIGGER", str(run.stop_trigger or ""))]
        for family in ("Trigger", "Experiment", "Camera", "Remote"):
            for section, maker in self._makers[family].items():
                for key, name in references(maker, TriggerName):
                    named.append((f"[{family} {section}] {key}", name))

        for place, name in named:
            base, dot, animal = name.partition(".")
            if name in makers or not dot or base not in makers:
                continue
            if problem := actor_trigger_problem(base, makers[base], animal):
                self._problems.append(f"{place} = {name}: {problem}")
            else:
                kind, values = makers[base].kind, actor_values(makers[base], animal)
                makers[name] = Maker(kind, values)
            self._names["Trigger"].append(name)

    def _check_names(self, rig: Settings) -> None:
        if not self._names["Camera"]:
            self._problems.append(
                "[Camera NAME]: is missing; at least one camera is needed"
            )
        kinds_used = [maker.kind for maker in self._makers["Camera"].values()]
        if rig.streaming.streams != ("color",) and not any(
            "STREAMS" in keys_of(kind) for kind in kinds_used
        ):
            text = self._texts["Streaming"]["STREAMS"]
            self._problems.append(
                f"[Streaming] STREAMS = {text}: each further stream needs its "
                "own [Camera NAME] with KIND = RealSense and STREAM = depth or "
                "infrared"
            )
        for name in filter(None, rig.tracking):
            self._check_name(f"[Tracking {name}]: CAMERA", "Camera", name)
        self._check_camera(rig, "Experiment", rig.experiment.camera)
        stop = rig.experiment.stop_trigger
        if stop not in (None, *rig.in_each_arena):
            self._check_name("[Experiment] STOP_TRIGGER", "Trigger", str(stop))
        for name, maker in rig.triggers.items():
            self._check_camera(rig, f"Trigger {name}", maker().camera)
        for name, classifier in rig.classifiers.items():
            self._check_camera(rig, f"Classifier {name}", classifier.camera)
        self._problems += [*unit_problems(rig), *animal_problems(rig)]
        self._problems += [*measure_problems(rig), *shelter_problems(rig)]
        self._problems += [*tag_problems(rig), *remember_problems(rig)]
        self._problems += arena_problems(rig)
        self._problems += space_problems(rig)
        self._problems += light_problems(rig)
        self._problems += output_problems(rig.outputs, rig.arenas)
        self._problems += dose_problems(rig.outputs)
        for family in ("Trigger", "Experiment", "Camera", "Remote"):
            for name, made in self._makers[family].items():
                self._check_named(rig, family, name, made)
        self._problems += synchronisation_problems(rig)
        self._problems += pulse_problems(rig)
        self._problems += retention_problems(rig)
        for name, output in self._makers["Output"].items():
            self._check_named(rig, "Output", name, output)
            taker = rig.outputs.get(output().then or "")
            if taker is not None and taker.then:
                self._problems.append(
                    f"[Output {name}] THEN = {output().then}: that output must "
                    "not have THEN itself"
                )
        named = {
            name: named_by(trigger) for name, trigger in rig.new_triggers().items()
        }
        try:
            TopologicalSorter(named).prepare()
        except CycleError as error:
            way = " uses ".join(reversed(error.args[1]))
            self._problems.append(
                f"[Trigger {error.args[1][0]}] refers to itself: {way}"
            )

    def _check_named(
        self, rig: Settings, family: str, section: str, maker: Maker[Any]
    ) -> None:
        """Check the names of triggers, outputs and inputs that a section has."""
        title, in_arenas = f"{family} {section}", rig.arenas and family == "Experiment"
        for other, kind in _NAMING.items():
            if in_arenas and kind is OutputName:
                needed = rig.arenas_with(section) or rig.arenas
                self._problems += missing_outputs(title, maker, rig.outputs, needed)
                continue
            for key, name in references(maker, kind):
                if kind is TriggerName and name in rig.in_each_arena:
                    if not in_arenas:
                        self._problems.append(
                            f"[{title}] {key} = {name}: [Trigger {name}] is made for each "
                            f"arena; enter that of one, {in_arena(name, next(iter(rig.arenas)))}"
                        )
                    continue
                self._check_name(f"[{title}] {key}", other, name)
        if in_arenas:
            self._problems += experiment_problems(
                title, maker, rig.triggers, rig.in_each_arena
            )

    def _check_name(self, title: str, family: str, name: str) -> None:
        if name not in self._names[family]:
            self._problems.append(
                f"{title} = {name}: no section [{family} "
                f"{name}]{guess(name, self._names[family])}"
            )

    def _check_camera(self, rig: Settings, title: str, name: str) -> None:
        if not name or (name == SPACE and not title.startswith("Classifier")):
            return
        self._check_name(f"[{title}] CAMERA", "Camera", name)
        camera = rig.cameras.get(name)
        reference = f"[{title}] CAMERA = {name}: [Camera {name}]"
        if camera is not None and not camera.analyse:
            self._problems.append(f"{reference} has ANALYSE = no")
        elif camera is None and name in self._makers["Camera"]:
            self._problems.append(
                f"{reference} is off by [Streaming] MULTIPLE_DEVICES = no"
            )


def _defaults(kind: type, streaming: Streaming) -> SectionTexts:
    """Return the options of [Streaming] for a camera without its own."""
    defaults: SectionTexts = {}
    if streaming.resolution:
        width, height = map(str, streaming.resolution)
        defaults |= {
            "WIDTH": width,
            "HEIGHT": height,
            "RESOLUTION": f"{width}, {height}",
        }
    if streaming.framerate:
        defaults |= dict.fromkeys(["RATE", "FRAMERATE"], f"{streaming.framerate:g}")
    defaults["STREAMS"] = ", ".join(streaming.streams)
    return {key: word for key, word in defaults.items() if key in keys_of(kind)}


def kinds_of(family: str) -> Mapping[str, type]:
    """Return the classes that KIND may name in sections of a family, by name."""
    folder, contract = FAMILIES[family]
    return dict(sorted(discover(folder, contract).classes.items()))


def names_needed(kind: type) -> str:
    """Return the sections that a KIND needs: `1 trigger, 2 outputs`; empty: none."""
    required = [info for _, info in keys_of(kind).values() if info.is_required()]
    needed = []
    for named, word in ((TriggerName, "trigger"), (OutputName, "output")):
        if count := sum(named in leaves(info.annotation) for info in required):
            needed.append(f"{count} {word}{'s' if count > 1 else ''}")
    return ", ".join(needed)


def kind_of(title: str, texts: Mapping[str, str]) -> type | None:
    """Return the class of a section with these words; None: there is no such class."""
    if title in FIXED:
        return FIXED[title]
    family, _, name = title.partition(" ")
    if family in NAMED and name:
        return NAMED[family]
    if family not in FAMILIES:
        return None
    return kinds_of(family).get(
        texts.get("KIND", name if family == "Experiment" else "")
    )
