"""A new run says which audit it rests on, and what has changed since."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from deeplabstream.analysis.options import AnalysisOptions
from deeplabstream.analysis.run_report import run_document
from deeplabstream.audit.audit import open_audit
from deeplabstream.core.pose import Skeleton
from deeplabstream.engine.audited_triggers import (
    answer_settings,
    audit_facts,
    audit_sentence,
)
from deeplabstream.engine.session import messages
from deeplabstream.engine.session.session_state import Action, Phase
from deeplabstream.files.report_document import ReportText
from deeplabstream.recording.audit_results import read_results, write_results
from deeplabstream.recording.run_folder import ModelFacts, RunFolder
from deeplabstream.recording.run_json import validate_facts
from deeplabstream.recording.run_schema import AUDIT_RESULTS
from tests.audit.scripted_run import SETTINGS, Scene, judge, record
from tests.engine.fake_processes import FakeProcesses, session_of

SCENE = Scene(1, frames=1200)
TEXT = SETTINGS.format(more="")
NETWORKS = {"script": "ab" * 32}


@pytest.fixture
def output(tmp_path: Path) -> Path:
    audit = open_audit(record(tmp_path / "output" / "first", SCENE), 60, seed=1)
    judge(audit, SCENE)
    audit.save_results()
    return tmp_path / "output"


def test_an_unchanged_rig_rests_on_its_audit(output: Path) -> None:
    facts = audit_facts(output, TEXT, NETWORKS)
    assert facts is not None
    assert (facts["run"], facts["judged"], facts["changed"]) == ("first", 60, [])
    assert any("[Trigger in]: recall" in figure for figure in facts["figures"])
    assert "nothing was changed since" in audit_sentence(facts)
    assert "audit" not in validate_facts({"audit": facts})[1]


@pytest.mark.parametrize(
    ("text", "networks", "changed"),
    [
        (TEXT.replace("50\n", "60\n", 1), NETWORKS, "[Trigger in] REGION = circle 120"),
        (TEXT, {"script": "cd" * 32}, "the network script was changed"),
        (TEXT, {"other": "cd" * 32}, "the network other was added"),
        (
            TEXT.replace("[Camera top]", "[Camera top]\nRATE = 60"),
            NETWORKS,
            "RATE = 60",
        ),
        (
            TEXT + "[Trigger out]\nKIND = OutsideRegion\n",
            NETWORKS,
            "[Trigger out] was not audited",
        ),
    ],
)
def test_what_has_changed_since_is_named(
    output: Path, text: str, networks: dict[str, str], changed: str
) -> None:
    facts = audit_facts(output, text, networks)
    assert facts is not None
    assert any(changed in difference for difference in facts["changed"])
    assert changed in audit_sentence(facts)


def test_what_does_not_decide_is_no_change(output: Path) -> None:
    text = TEXT.replace("MAX_ON_S = 1", "MAX_ON_S = 2").replace(
        "BODYPARTS = nose\n", "BODYPARTS = nose\nSEED = 9\n"
    )
    facts = audit_facts(output, text, NETWORKS)
    assert facts is not None and facts["changed"] == []


def test_the_newest_audit_counts_and_a_damaged_one_does_not(output: Path) -> None:
    results = read_results(output / "first")
    assert results is not None
    (output / "second").mkdir()
    facts = replace(results.facts, run="second")
    write_results(
        output / "second",
        replace(results, facts=facts, made="2099-01-01T00:00:00+00:00"),
    )
    found = audit_facts(output, TEXT, NETWORKS)
    assert found is not None and found["run"] == "second"
    (output / "second" / AUDIT_RESULTS).write_text("{", "utf-8")
    found = audit_facts(output, TEXT, NETWORKS)
    assert found is not None and found["run"] == "first"


def test_other_triggers_rest_on_nothing(output: Path, tmp_path: Path) -> None:
    assert (
        audit_facts(output, TEXT.replace("Trigger in", "Trigger x"), NETWORKS) is None
    )
    assert audit_facts(tmp_path / "none", TEXT, NETWORKS) is None
    assert answer_settings(TEXT)["[Camera top]"] == {"KIND": "SimulatedCamera"}


def test_the_session_writes_it_into_the_new_run(output: Path) -> None:
    fake = FakeProcesses()
    session = session_of(fake, output.parent, TEXT)
    session.do(Action.START_STREAM)
    model = ModelFacts("script", "cd" * 32, 0.5, "CPUExecutionProvider")
    network = messages.NetworkReady(Skeleton(("nose", "tail")), model)
    session.state = replace(session.state, phase=Phase.STREAMING, network=network)
    session.do(Action.START_RECORDING)
    (opened,) = (each for each in fake.recorder if isinstance(each, messages.OpenRun))
    entry: Any = opened.facts["audit"]
    assert entry["run"] == "first"
    assert entry["changed"] == ["the network script was changed"]


def test_the_report_of_the_new_run_says_it(output: Path) -> None:
    later = record(output / "later", replace(SCENE, seed=2))
    facts = audit_facts(output, TEXT.replace("50\n", "60\n", 1), NETWORKS)
    RunFolder(later).update(audit=facts)
    document = run_document(later, AnalysisOptions())
    (section,) = (s for s in document.sections if s.title == "Audit of triggers")
    text = "\n".join(b.text for b in section.blocks if isinstance(b, ReportText))
    assert "rests on the audit of the earlier run first, with 60 judged clips" in text
    assert "Changed since that audit: [Trigger in] REGION = circle 120 150 60" in text
