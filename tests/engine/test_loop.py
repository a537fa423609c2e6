"""The one loop: what a frame leads to, and when everything is switched off."""

from typing import Any

import numpy as np
import pytest
from pydantic.dataclasses import dataclass as settings

from deeplabstream.core.command import Mark, Pulse, TriggerName, on
from deeplabstream.core.journal_entries import Intent, Note, Step
from deeplabstream.core.regions import Circle
from deeplabstream.engine.loop import run
from deeplabstream.plugins.experiment import (
    Experiment,
    ObservationRequest,
    Plan,
    until,
    wait,
)
from experiments.triggers.logic import Not
from experiments.triggers.region_triggers import InsideRegion
from tests.engine.loop_rig import IN, LOST, OUT, Place, rig


def test_light_follows_the_animal() -> None:
    with rig([OUT, IN, IN, OUT, OUT]) as it:
        it.show(5)
        assert [len(step.commands) for step in it.steps] == [0, 2, 0, 1, 0]
        assert [step.triggers["inside"] for step in it.steps] == [
            False,
            True,
            True,
            False,
            False,
        ]
        assert it.steps[-1].status == "lit"
        assert it.causes() == ["plan", "plan"]


def test_an_empty_mark_leaves_the_status() -> None:
    @settings(kw_only=True)
    class Marking(Experiment):
        def plan(self) -> Plan[None]:
            for text in ("one", "", "two"):
                yield Mark(text)
                yield ObservationRequest.NEXT

    with rig([IN] * 3, experiment=Marking()) as it:
        it.show(3)
        assert [step.status for step in it.steps] == ["one", "one", "two"]


def test_an_answer_that_is_held_is_called_so_in_the_record() -> None:
    with rig([IN, LOST, LOST, LOST, IN], hygiene={"hold_ms": 20}) as it:
        it.show(5)
        answers = [step.triggers["inside"] for step in it.steps]
        assert answers == [True, True, True, None, True]
        held = {"[Trigger inside]": "held"}
        assert [step.flags for step in it.steps] == [{}, held, held, {}, {}]


def test_a_sham_lights_nothing_and_is_in_the_record() -> None:
    with rig([OUT, IN, IN, OUT, IN], hygiene={"probability": 0}) as it:
        it.show(5)
        assert not any(step.commands for step in it.steps)
        shams = [line for line in it.notes().splitlines() if "sham" in line]
        assert shams == [
            "[Trigger inside] sham begins at 0.010 s",
            "[Trigger inside] sham ends at 0.030 s",
            "[Trigger inside] sham begins at 0.040 s",
        ]


def test_a_combination_sees_the_answers_of_its_own_frame() -> None:
    with rig([OUT, IN, LOST, OUT]) as it:
        place: Any = {"bodyparts": ("snout",), "region": Circle(50, 50, 9)}
        away: Any = {"trigger": "inside"}
        it.loop.set_triggers({"away": Not(**away), "inside": InsideRegion(**place)})
        it.show(4)
        answers = [(s.triggers["inside"], s.triggers["away"]) for s in it.steps]
        known = [(False, True), (True, False)]
        assert answers == [*known, (None, None), (False, True)]


def test_an_intent_is_written_before_the_output_is() -> None:
    with rig([OUT, IN]) as it:
        it.show(2)
        kinds = [type(entry) for entry in it.entries]
        edge = next(i for i, e in enumerate(it.entries) if getattr(e, "level", 0) > 0)
        assert kinds.index(Intent) < edge < len(kinds) - 1
        assert isinstance(it.entries[-1], Step)


def test_a_lost_animal_never_fires_and_the_light_goes_off_until_asked_anew() -> None:
    places = [OUT, IN, *[LOST] * 15, IN, IN, OUT, IN]
    with rig(places) as it:
        it.show(2)
        assert it.level == 1
        it.show(10)
        assert it.level == 1  # not yet 100 ms
        it.show(5)
        assert it.level == 0
        assert "lost" in it.causes()
        it.show(2)  # back inside: the plan has not asked anew
        assert it.level == 0
        it.show(2)
        assert it.level == 1


def test_nothing_is_switched_on_while_the_animal_is_lost() -> None:
    @settings(kw_only=True)
    class Blind(Experiment):
        trigger: TriggerName = TriggerName("inside")

        def plan(self) -> Plan[None]:
            yield from wait(0.2)
            yield Pulse("light", seconds=1)
            yield from wait(9)

    with rig([LOST] * 30, Blind()) as it:
        it.show(30)
        assert it.light.levels == [0.0, 0.0]
        assert "was not switched on" in it.notes()


def test_a_frame_too_old_decides_nothing_but_off() -> None:
    with rig([OUT, IN, IN, OUT, OUT], max_age_ms=50) as it:
        it.show()
        it.show(late_ms=80)
        assert it.steps[-1].too_old
        assert it.steps[-1].triggers["inside"] is None
        assert it.level == 0
        it.clock.set(it.clock.now_ns())
        it.index = 20
        it.show()
        assert it.level == 1


def test_silence_switches_everything_off_once() -> None:
    with rig([OUT, IN, IN]) as it:
        it.show(2)
        deadline_ns = it.loop.idle()
        assert deadline_ns is not None
        it.clock.set(deadline_ns - 1)
        it.loop.idle()
        assert it.level == 1
        it.clock.set(deadline_ns)
        run([[], []], it.loop, it.steps.append)
        assert it.level == 0
        assert it.causes().count("silence") == 1
        assert it.notes().rstrip().endswith("is silent: outputs are off")


def test_outputs_that_could_not_be_switched_off_are_not_said_to_be_off(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with rig([OUT, IN, IN]) as it:
        it.show(2)
        monkeypatch.setattr(type(it.bank), "levels", {"light": 1.0})
        it.clock.set(it.loop.idle() or 0)
        it.loop.idle()
        assert it.notes().rstrip().endswith("[Output light] may still be on")


def test_a_plan_that_breaks_ends_with_everything_off_and_a_traceback() -> None:
    @settings(kw_only=True)
    class Broken(Experiment):
        def plan(self) -> Plan[None]:
            yield on("light")
            yield ObservationRequest.NEXT
            raise RuntimeError("a bug in a lab's file")

    with rig([OUT, OUT, OUT], Broken()) as it:
        it.show()
        assert it.level == 1
        it.show(2)
        assert it.level == 0
        assert not it.loop.experimenting
        assert "Traceback" in it.notes()
        failed = "[Experiment ] failed: RuntimeError: a bug in a lab's file"
        assert it.notes().rstrip().endswith(failed)
        assert len(it.steps) == 3


def test_a_plan_that_never_waits_is_told_so() -> None:
    @settings(kw_only=True)
    class Hasty(Experiment):
        def plan(self) -> Plan[None]:
            while True:
                yield on("light")

    with rig([OUT], Hasty()) as it:
        it.show()
        assert it.level == 0
        assert "must wait for the next frame" in it.notes()
        assert "Traceback" not in it.notes()


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (
            "yield until('region')",
            "[Experiment ]: lab.py, line 3: write yield from until(...), not yield until(...)",
        ),
        (
            "yield 'on'",
            "[Experiment ]: lab.py, line 3: the plan yielded 'on', which is not a command",
        ),
        ("return None", "[Experiment ]: plan() is not a generator: it has no yield"),
        (
            "yield on(self.outputs[0])",
            "[Experiment ] failed: AttributeError: 'Lab' object has no attribute 'outputs'"
            " (lab.py, line 3)",
        ),
    ],
)
def test_a_mistake_in_a_plan_is_told_with_its_line(body: str, said: str) -> None:
    names: dict[str, Any] = {"__name__": "experiments.lab", "on": on, "until": until}
    names["Experiment"] = Experiment
    code = f"class Lab(Experiment):\n  def plan(self):\n    {body}\n"
    exec(compile(code, "/rig/experiments/lab.py", "exec"), names)
    with rig([OUT], names["Lab"]()) as it:
        it.show()
        assert it.level == 0
        assert it.notes().rstrip().splitlines()[-1] == said


def test_an_unknown_output_is_a_sentence() -> None:
    @settings(kw_only=True)
    class Wrong(Experiment):
        def plan(self) -> Plan[None]:
            yield on("lihgt")

    with rig([OUT], Wrong()) as it:
        it.show()
        assert "[Output lihgt]" in it.notes()


def test_the_experiment_ends_when_its_time_is_up() -> None:
    with rig([IN] * 60, exp_time_s=0.5) as it:
        it.show(50)
        assert it.loop.experimenting
        it.show(10)
        assert not it.loop.experimenting
        assert it.level == 0


@pytest.mark.parametrize("confidence_of_others", [LOST, OUT])
def test_two_runs_of_the_same_frames_are_equal(confidence_of_others: Place) -> None:
    def entries() -> list[str]:
        with rig([OUT, IN, confidence_of_others, IN, OUT] * 9) as it:
            it.show(45)
            return [repr(e) for e in it.entries if not isinstance(e, Step)]

    assert entries() == entries()


def test_an_output_that_fails_ends_the_experiment_with_its_name() -> None:
    with rig([OUT, IN, IN]) as it:
        it.show()
        it.bank.fail("[Output light] COM3 is gone", it.clock.now_ns())
        it.show()
        assert not it.loop.experimenting
        assert "COM3 is gone" in it.notes()


def test_triggers_are_evaluated_after_an_output_failed() -> None:
    with rig([OUT, IN, IN, OUT, IN]) as it:
        it.show()
        it.bank.fail("[Output light] COM3 is gone", it.clock.now_ns())
        it.show(4)
        assert not it.loop.experimenting
        answers = [step.triggers["inside"] for step in it.steps]
        assert answers == [False, True, True, False, True]
        errors = [
            e.text for e in it.entries if isinstance(e, Note) and e.kind == "error"
        ]
        assert errors == ["[Output light] COM3 is gone"]


def test_nothing_is_known_of_a_picture_that_was_overwritten_meanwhile() -> None:
    with rig([OUT, IN, IN, OUT], overwritten=[1]) as it:
        it.show(4)
        answers = [step.triggers["inside"] for step in it.steps]
        assert answers == [False, None, True, False]
        assert np.isnan(it.steps[1].pose.points).all()
        assert not it.steps[1].pose.confidence.any()
        assert [len(step.commands) for step in it.steps] == [0, 0, 2, 1]
