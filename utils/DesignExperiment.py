"""Create an experiment file step by step, checked and ready for the other programs.

Each answer can also be given as an option: by its own option, or by --set and the question's
name ("[Trigger corner] REGION" is "Trigger corner REGION").
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from deeplabstream.startup.program import ending, prepare

prepare()

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from deeplabstream.startup.arguments import ProgramParser
from deeplabstream.core.errors import DeepLabStreamError, SettingsError
from deeplabstream.files.overwriting import add_overwrite
from deeplabstream.settings.experiment_design import Design, design
from deeplabstream.settings.experiment_design import Question
from deeplabstream.settings.loading import check_against, parse
from deeplabstream.pose.model.model_folder import load_model_folder
from deeplabstream.pose.model.model_opening import find_model

OPTIONS = {
    "--rig": ("Rig FILE", "rig folder or settings.ini, or `simulated`"),
    "--name": ("Experiment NAME", "name of the experiment"),
    "--kind": ("Experiment KIND", "kind of experiment"),
    "--minutes": ("Experiment EXP_TIME_S", "duration in minutes; 0: no limit"),
    "--experimenter": ("Experiment EXPERIMENTER", "experimenter"),
    "--file": ("File PATH", "file to write"),
}
"""Options, the questions that they answer, and what they say."""


class GoBackError(Exception):
    """The person wants to answer the last question again."""


class NoAnswerError(DeepLabStreamError):
    """Nobody answers."""


@ending("nothing was written")
def main(argv: Sequence[str] | None = None) -> int:
    """Run the program; return 0, or 2 when an answer is missing or wrong."""
    asked = _parser().parse_args(argv)
    answers = _answers(asked)
    ask = None if asked.yes else _on_terminal
    if ask:
        print(
            "Press Enter for the default shown; `back` returns to the "
            "previous question."
        )
    made = Conversation(answers, ask, asked.overwrite).made()
    _check(made)
    made.path.write_text(made.text, encoding="utf-8", newline="\n")
    print(f"\nWritten: {made.path}. Next:")
    for command in ("utils/RehearseExperiment.py", "app.py"):
        print(f'    python {command} --settings "{made.path}"')
    return 0


def _parser() -> ProgramParser:
    parser = ProgramParser(rig=False, prog="DesignExperiment.py", description=__doc__)
    for name, (_, text) in OPTIONS.items():
        parser.add_argument(name, help=text)
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="QUESTION=ANSWER",
        help=(
            'for example "Experiment TRIGGER=corner" or "Trigger corner '
            'KIND=InsideRegion"'
        ),
    )
    parser.add_argument(
        "--yes",
        action="store_true",
        help="ask nothing; use defaults for all other values",
    )
    add_overwrite(parser, "--replace")
    return parser


def _answers(asked: argparse.Namespace) -> dict[str, str]:
    """Return the answers of the options by the questions' names, in lower case."""
    options = {question: name[2:] for name, (question, _) in OPTIONS.items()}
    given = {
        question: getattr(asked, name)
        for question, name in options.items()
        if getattr(asked, name) is not None
    }
    if asked.minutes is not None:
        try:
            given[OPTIONS["--minutes"][0]] = f"{60 * float(asked.minutes):g}"
        except ValueError:
            raise NoAnswerError(
                f"--minutes {asked.minutes}: expected a number"
            ) from None
    for words in asked.set:
        name, sign, answer = words.partition("=")
        if not sign:
            raise NoAnswerError(f"--set {words}: expected QUESTION=ANSWER")
        given[" ".join(name.replace("[", "").replace("]", "").split())] = answer.strip()
    return {name.casefold(): answer for name, answer in given.items()}


@dataclass
class Conversation:
    """Questions and answers, until there is a design."""

    options: dict[str, str]
    """Answers by the questions' names, in lower case."""
    ask: Callable[[Question], str] | None
    """Asks a person; None: there is none."""
    overwrite: bool = False
    _given: list[str] = field(default_factory=list)
    """Answers so far, in order: to go back is to begin again with one fewer."""
    _personal: list[int] = field(default_factory=list)
    """Which of them a person gave."""

    def made(self) -> Design:
        """Return the design; NoAnswerError when an answer is missing or wrong."""
        while True:
            try:
                return self._once()
            except GoBackError:
                if self._personal:
                    del self._given[self._personal.pop() :]

    def _once(self) -> Design:
        left, place = dict(self.options), 0
        questions = design(self.overwrite)
        try:
            question = next(questions)
            while True:
                name = question.name.casefold()
                option = left.pop(name, None)
                if place == len(self._given):
                    self._given.append(self._new(question, option))
                question = questions.send(self._given[place])
                place += 1
        except StopIteration as end:
            if left:
                names = ", ".join(left)
                raise NoAnswerError(
                    f"unknown questions: {names}; nothing was written"
                ) from None
            made: Design = end.value
            return made

    def _new(self, question: Question, option: str | None) -> str:
        """Return an answer to a question that was not answered before."""
        for text in question.problems if self.ask else ():
            print(text)
        if option is not None:
            try:
                return question.answer(option)
            except ValueError as error:
                self._refuse(question, str(error))
        if self.ask is None:
            if question.problems:
                raise NoAnswerError("; ".join(question.problems))
            try:
                return question.answer("")
            except ValueError as error:
                how = f'--set "{question.name}=…"'
                raise NoAnswerError(f"{_title(question)}: {error} ({how})") from None
        while True:
            words = self.ask(question)
            if words.strip().casefold() == "back":
                raise GoBackError
            try:
                answer = question.answer(words)
            except ValueError as error:
                print(f"  {error}")
                continue
            self._personal.append(len(self._given))
            return answer

    def _refuse(self, question: Question, said: str) -> None:
        if self.ask is None:
            raise NoAnswerError(f"{_title(question)}: {said}")
        print(f"{_title(question)}: {said}")


def _title(question: Question) -> str:
    return f"[{question.section}] {question.key}"


def _on_terminal(question: Question) -> str:
    """Ask on the terminal."""
    print(f"\n{_title(question)}: {question.about}")
    if question.choices:
        for number, (name, text) in enumerate(question.choices.items(), 1):
            print(f"  {number:2} {name}{f': {text}' if text else ''}")
    elif question.expected:
        print(f"  {question.expected}")
    default = question.default
    hint = "" if default is None else f" (Enter: {default or 'nothing'})"
    try:
        return input(f"{hint.strip()}> ")
    except EOFError:
        how = f'--set "{question.name}=…"'
        raise NoAnswerError(
            f"\n{_title(question)}: no answer ({how}); nothing was written"
        ) from None


def _check(made: Design) -> None:
    """Look at the whole as CheckSettings does."""
    rig = parse(made.text, made.path.absolute().parent)
    if rig.model and not rig.model.startswith("stand-in"):
        skeleton = load_model_folder(find_model(rig.model)).skeleton
        if problems := check_against(rig, skeleton):
            raise SettingsError(problems)


if __name__ == "__main__":
    sys.exit(main())
