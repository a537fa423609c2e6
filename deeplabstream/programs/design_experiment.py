"""Create an experiment file step by step, checked and ready for the other programs.

Each answer can also be given as an option: by its own option, or by --set and the question's
name ("[Trigger corner] REGION" is "Trigger corner REGION").
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from deeplabstream.core.errors import DeepLabStreamError, SettingsError
from deeplabstream.pose.model.model_folder import load_model_folder
from deeplabstream.pose.model.model_opening import find_model, is_built_in
from deeplabstream.programs.program import Program
from deeplabstream.programs.shared_options import overwrite
from deeplabstream.settings.experiment_design import Design, Question, design
from deeplabstream.settings.loading import check_against, parse
from deeplabstream.settings.option_fields import option, program_options

QUESTIONS = {
    "rig": "Rig FILE",
    "name": "Experiment NAME",
    "kind": "Experiment KIND",
    "minutes": "Experiment EXP_TIME_S",
    "experimenter": "Experiment EXPERIMENTER",
    "file": "File PATH",
}
"""The question that each option answers."""


@program_options
class DesignExperiment:
    """Answers to the questions of the design; others are read from the terminal."""

    rig: str | None = option(default=None)
    """Rig folder or settings.ini, or the word simulated."""
    name: str | None = option(default=None)
    """Name of the experiment."""
    kind: str | None = option(default=None)
    """Kind of experiment."""
    minutes: float | None = option(default=None)
    """Duration in minutes; 0: no limit."""
    experimenter: str | None = option(default=None)
    """Experimenter."""
    file: str | None = option(default=None)
    """File to write."""
    set: tuple[str, ...] = option(default=(), repeated=True, metavar="QUESTION=ANSWER")
    """For example "Experiment TRIGGER=corner" or "Trigger corner KIND=InsideRegion"."""
    yes: bool = option(default=False)
    """Ask nothing; use defaults for all other values."""
    overwrite: bool = overwrite(aliases=("--replace",))

    def __post_init__(self) -> None:
        for text in self.set:
            if "=" not in text:
                raise DeepLabStreamError(f"set = {text}: expected QUESTION=ANSWER")

    def answers(self) -> dict[str, str]:
        """Return the answers by the names of the questions, in lower case."""
        given = {name: getattr(self, name) for name in QUESTIONS}
        if self.minutes is not None:
            given["minutes"] = f"{60 * self.minutes:g}"
        answers = {
            QUESTIONS[name]: answer
            for name, answer in given.items()
            if answer is not None
        }
        for text in self.set:
            name, _, answer = text.partition("=")
            question = " ".join(name.replace("[", "").replace("]", "").split())
            answers[question] = answer.strip()
        return {name.casefold(): answer for name, answer in answers.items()}


def design_experiment(options: DesignExperiment) -> int:
    """Ask the questions that have no answer yet, and write the file."""
    prompt = None if options.yes else _prompt_on_terminal
    if prompt:
        print(
            "Press Enter for the default shown; `back` returns to the previous question."
        )
    experiment = Conversation(options.answers(), prompt, options.overwrite).design()
    _check(experiment)
    experiment.path.write_text(experiment.text, encoding="utf-8", newline="\n")
    print(f"\nWritten: {experiment.path}. Next:")
    for command in ("utils/RehearseExperiment.py", "app.py"):
        print(f'    python {command} --settings "{experiment.path}"')
    return 0


class GoBackError(Exception):
    """Answer the last question again."""


class NoAnswerError(DeepLabStreamError):
    """A question has no answer, or a wrong one."""


@dataclass
class Conversation:
    """Questions and answers, until there is a design."""

    options: dict[str, str]
    """Answers by the names of the questions, in lower case."""
    prompt: Callable[[Question], str] | None
    """Reads an answer; None: defaults are used."""
    overwrite: bool = False
    _answers: list[str] = field(default_factory=list)
    """Answers so far, in order: to go back is to begin again with one fewer."""
    _typed: list[int] = field(default_factory=list)
    """Indices of the answers that were typed."""

    def design(self) -> Design:
        """Return the design; NoAnswerError when an answer is missing or wrong."""
        while True:
            try:
                return self._once()
            except GoBackError:
                if self._typed:
                    del self._answers[self._typed.pop() :]

    def _once(self) -> Design:
        unused, place = dict(self.options), 0
        questions = design(self.overwrite)
        try:
            question = next(questions)
            while True:
                option = unused.pop(question.name.casefold(), None)
                if place == len(self._answers):
                    self._answers.append(self._new(question, option))
                question = questions.send(self._answers[place])
                place += 1
        except StopIteration as end:
            if unused:
                names = ", ".join(unused)
                raise NoAnswerError(
                    f"unknown questions: {names}; nothing was written"
                ) from None
            experiment: Design = end.value
            return experiment

    def _new(self, question: Question, option: str | None) -> str:
        """Return an answer to a question that was not answered before."""
        if self.prompt is None:
            return self._answer_of_option(question, option)
        for text in question.problems:
            print(text)
        if option is not None:
            try:
                return question.answer(option)
            except ValueError as error:
                print(f"{_title(question)}: {error}")

        while True:
            typed = self.prompt(question)
            if typed.strip().casefold() == "back":
                raise GoBackError
            try:
                answer = question.answer(typed)
            except ValueError as error:
                print(f"  {error}")
                continue
            self._typed.append(len(self._answers))
            return answer

    @staticmethod
    def _answer_of_option(question: Question, option: str | None) -> str:
        """Return the answer of an option, or the default."""
        if option is None and question.problems:
            raise NoAnswerError("; ".join(question.problems))
        try:
            return question.answer(option or "")
        except ValueError as error:
            hint = f" ({_option(question)})" if option is None else ""
            raise NoAnswerError(f"{_title(question)}: {error}{hint}") from None


def _title(question: Question) -> str:
    return f"[{question.section}] {question.key}"


def _option(question: Question) -> str:
    return f'--set "{question.name}=…"'


def _prompt_on_terminal(question: Question) -> str:
    """Ask on the terminal."""
    print(f"\n{_title(question)}: {question.about}")
    if question.choices:
        for number, (name, text) in enumerate(question.choices.items(), 1):
            print(f"  {number:2} {name}{f': {text}' if text else ''}")
    elif question.expected:
        print(f"  {question.expected}")
    default = question.default
    hint = "" if default is None else f"(Enter: {default or 'nothing'})"
    try:
        return input(f"{hint}> ")
    except EOFError:
        raise NoAnswerError(
            f"\n{_title(question)}: no answer ({_option(question)}); nothing was written"
        ) from None


def _check(experiment: Design) -> None:
    """Raise SettingsError if the whole has problems, as CheckSettings finds them."""
    rig = parse(experiment.text, experiment.path.absolute().parent)
    if rig.model and not is_built_in(rig.model):
        skeleton = load_model_folder(find_model(rig.model)).skeleton
        if problems := check_against(rig, skeleton):
            raise SettingsError(problems)


PROGRAM = Program(
    DesignExperiment,
    design_experiment,
    __doc__,
    "DesignExperiment",
    stopped="nothing was written",
)
