"""Experiment files of DeepLabStream 1, and the names of its coded experiments."""

from deeplabstream.settings.v1_import.key_conversion import (
    Made,
    OldFile,
    format_list,
    numbers,
)
from deeplabstream.settings.v1_import.v1_outputs import Stimulation, carry_stimulation
from deeplabstream.settings.v1_import.v1_triggers import carry_trigger

CODED = {
    "exampleexperiment": "two_regions",
    "examplemultipleanimalexperiment": "any_animal",
    "examplesocialinteractionexperiment": "social",
    "speedexperiment": "speed",
    "firstexperiment": "classical_conditioning",
    "secondexperiment": "stages",
    "optogenexperiment": "optogenetic",
    "reward_pretraining": "reward_pretraining",
    "simbabehaviorpoolexperiment": "behaviour",
    "bsoidbehaviorpoolexperiment": "behaviour",
}
"""Experiments in Python that came with it, and the ready-made files that do the same."""
_DEFAULT_SIZE, _DEFAULT_RATE = "640, 480", 30.0


class ExperimentFile:
    """Conversion of one experiment file to new sections."""

    def __init__(self, old: OldFile, made: Made, rig: OldFile | None = None) -> None:
        """Store the files; `rig` is the unconverted settings.ini."""
        self._old, self._made = old, made
        size = rig.take("Streaming", "RESOLUTION") if rig else None
        rate = rig.take("Streaming", "FRAMERATE") if rig else None
        self._size = format_list(size.word) if size else _DEFAULT_SIZE
        self._rate = (numbers(rate.word) if rate else []) or [_DEFAULT_RATE]

    def carry(self, name: str) -> None:
        """Convert all keys, as the experiment `name`."""
        old, made = self._old, self._made
        base = old.take("EXPERIMENT", "BASE")
        who = old.take("EXPERIMENT", "EXPERIMENTER")
        kind = (base.word if base else "").casefold()
        if who is not None and who.word:
            made.remark("Experiment", f"Experimenter: {who.word}")
        made.put("Experiment", "EXP_NAME", name, base)
        section = base.word if base else ""
        self._title = f"Experiment {name}"
        made.carry("Experiment", "EXP_TIME_S", old.take(section, "EXP_TIME"))
        if kind == "baseconditionalexperiment":
            self._conditional(section)
        elif kind == "baseoptogeneticexperiment":
            self._optogenetic(section)
        elif kind == "basetrialexperiment":
            self._trials(section)
        else:
            made.sentences.append(
                f"[EXPERIMENT] BASE = {section or '(missing)'}: unknown base "
                "experiment; write it as a plan (docs/experiments.md)"
            )
        self._templates()

    def _trigger(self, section: str, key: str) -> str:
        name = self._old.word(section, key)
        place = (self._old, self._made, name, self._rate[0], self._size)
        return carry_trigger(*place) if name else ""

    def _process(self, section: str) -> tuple[str, Stimulation]:
        """Return the type of the process, and its outputs."""
        process = self._old.word(section, "PROCESS", "BaseProtocolProcess")
        kind = self._old.word(process, "TYPE", "trial").casefold()
        stimulation = self._old.word(process, "STIMULATION", "BaseStimulation")
        return kind, carry_stimulation(self._old, self._made, stimulation)

    def _conditional(self, section: str) -> None:
        old, made, title = self._old, self._made, self._title
        trigger, (kind, switched) = (
            self._trigger(section, "TRIGGER"),
            self._process(section),
        )
        rest = old.take(section, "INTERTRIAL_TIME")
        trials = old.take(section, "EXP_LENGTH")
        match kind:
            case "supply":
                made.put(title, "KIND", "Supply")
                made.put(title, "TRIGGER", trigger)
                made.put(title, "SUPPLY", switched.output)
                self._seconds("DROP_S", switched.on_s)
                made.carry(title, "EVERY_S", rest)
                made.carry(title, "DROPS", trials)
                if switched.removal:
                    made.put(title, "REMOVAL", switched.removal)
                    self._seconds("REMOVAL_S", switched.removal_s)
            case "switch":
                made.put(title, "KIND", "Conditional")
                made.put(title, "TRIGGER", trigger)
                made.put(title, "OUTPUT", switched.output)
                made.report(
                    rest,
                    "is now REST_S; the output used to stay on during it, now it "
                    "goes off when the trigger becomes false, and after MAX_ON_S",
                )
                made.carry(title, "REST_S", rest)
                made.carry(title, "TRIALS", trials)
            case _:
                made.put(title, "KIND", "Triggered")
                made.put(title, "TRIGGER", trigger)
                made.put(title, "OUTPUT", switched.output)
                self._seconds("PULSE_S", switched.on_s)
                made.carry(title, "REST_S", rest)
                made.carry(title, "PULSES", trials)

    def _optogenetic(self, section: str) -> None:
        old, made, title = self._old, self._made, self._title
        trigger, (_, switched) = (
            self._trigger(section, "TRIGGER"),
            self._process(section),
        )
        made.put(title, "KIND", "Optogenetic")
        made.put(title, "TRIGGER", trigger)
        made.put(title, "OUTPUT", switched.output)
        made.carry(title, "MIN_ON_S", old.take(section, "MIN_STIM_TIME"))
        made.carry(title, "MAX_ON_S", old.take(section, "MAX_STIM_TIME"))
        made.carry(title, "MAX_TOTAL_S", old.take(section, "MAX_TOTAL_STIM_TIME"))
        made.carry(title, "REST_S", old.take(section, "INTERTRIAL_TIME"))
        made.report(
            old.take(section, "EXP_LENGTH"),
            "stimulation is limited by its total time, MAX_TOTAL_S, not by a "
            "number of doses",
        )

    def _trials(self, section: str) -> None:
        old, made, title = self._old, self._made, self._title
        start, answer = (
            self._trigger(section, "TRIGGER"),
            self._trigger(section, "TRIAL_TRIGGER"),
        )
        _, switched = self._process(section)
        made.put(title, "KIND", "TrialBased")
        made.put(title, "START", start)
        made.put(title, "ANSWER", answer or start)
        made.put(title, "STIMULI", switched.output)
        made.carry(title, "TRIAL_S", old.take(section, "TRIAL_TIME"))
        made.carry(title, "STIMULUS_S", old.take(section, "STIMULUS_TIME"))
        result = old.take(section, "RESULT_FUNC")
        made.put(title, "RESULT", result.word.casefold() if result else "any", result)
        made.carry(title, "TRIALS", old.take(section, "EXP_LENGTH"))
        made.carry(title, "SUCCESSES", old.take(section, "EXP_COMPLETION"))
        made.carry(title, "INTERVAL", old.take(section, "INTERTRIAL_TIME"))
        made.report(
            old.take(section, "TRIAL_NAME"),
            "a trial is marked with its number and its stimulus's NAME",
        )

    def _seconds(self, key: str, word: str) -> None:
        if word:
            self._made.put(self._title, key, word)

    def _templates(self) -> None:
        """Report what was not converted; sections that nothing named in one sentence."""
        unused: dict[str, list[str]] = {}
        used = set(self._old.used)
        for old in self._old.left():
            if old.section in used:
                self._made.report(old, "unknown key, not converted")
            else:
                unused.setdefault(old.section, []).append(old.key)
        self._made.sentences += [
            f"[{section}]: this experiment does not use it ({', '.join(keys)})"
            for section, keys in unused.items()
        ]
