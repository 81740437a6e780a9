"""The table of verbs. Nothing heavy is imported before a verb is chosen: ``medcnn --help`` is instant."""

import importlib
import os
import sys
from collections.abc import Sequence
from typing import NamedTuple

from medcnn import __version__
from medcnn.errors import MedcnnError
from medcnn.library_output import quiet_command, quiet_libraries
from medcnn.printable import printable


class Verb(NamedTuple):
    """Where a verb lives and what it does in a line."""

    target: str
    line: str


#: name -> where it lives; a target is imported only when its verb is called.
VERBS: dict[str, Verb] = {
    "fit": Verb("medcnn.cli.lightning:run", "train a model and record the run in MLflow"),
    "learning-curve": Verb("medcnn.cli.learning_curve:run", "fit on more and more of the cases: would more help?"),
    "validate": Verb("medcnn.cli.lightning:run", "evaluate a checkpoint on the validation cases"),
    "test": Verb("medcnn.cli.lightning:run", "evaluate a checkpoint on the test cases, into the run that made it"),
    "predict": Verb("medcnn.cli.lightning:run", "write the probabilities of the test cases to a table"),
    "score": Verb("medcnn.cli.score:Score", "score a folder of images: findings, and a ledger of every file"),
    "segment": Verb(
        "medcnn.cli.segment:Segment",
        "segment a folder of volumes: masks on their own grid as NIfTI or DICOM SEG, and their volumes",
    ),
    "skullstrip": Verb("medcnn.cli.skullstrip:Skullstrip", "find the brain in every head, and say when it failed"),
    "plan": Verb("medcnn.cli.plan:PlanCohort", "plan a U-Net for labeled volumes, and write its configuration"),
    "audit": Verb("medcnn.cli.audit:Audit", "find copies, leaks and label conflicts in a cohort"),
    "inspect": Verb(
        "medcnn.cli.inspect:Inspect",
        "say what a file or a folder is: series, geometry, photometry, what would be skipped",
    ),
    "report": Verb("medcnn.cli.report:Report", "make the page by which a model is judged: one HTML file"),
    "explain": Verb("medcnn.cli.explain:Explain", "show where a model looked, and what that picture is worth"),
    "summary": Verb("medcnn.cli.summary:Summary", "tell a model's layers, what they cost and what they see"),
    "ui": Verb("medcnn.cli.ui:Ui", "open the runs in MLflow, on this machine only"),
    "sync": Verb("medcnn.cli.sync:Sync", "send to the store what trainings recorded while it did not answer"),
    "doctor": Verb("medcnn.cli.doctor:Doctor", "say what this installation can do, and what to install for the rest"),
    "demo": Verb("medcnn.cli.demo:Demo", "the whole way on a phantom cohort: fit, test, report, score"),
}
LIGHTNING = ("fit", "validate", "test", "predict")
#: Verbs that read their words themselves.
WHOLE = (*LIGHTNING, "learning-curve")
#: What keeps a ledger, by which a second start does what is left.
LEDGERED = ("score", "segment", "skullstrip")
ON_AGAIN = "; the same command goes on"


def _usage() -> str:
    lines = "\n".join(f"  {name:<14} {verb.line}" for name, verb in VERBS.items())
    return (
        "usage: medcnn VERB [options]\n\n"
        "From a folder of scans and a table of labels to a model that a hospital can trust.\n\n"
        f"verbs:\n{lines}\n\n"
        "medcnn VERB --help tells what a verb takes; medcnn --version the version.\n"
        "exit codes: 0 done, 2 a mistake that you can mend, 3 some files could not be scored"
    )


def _call(name: str, words: list[str]) -> int:
    module, _, attribute = VERBS[name].target.partition(":")
    target = getattr(importlib.import_module(module), attribute)
    if name in WHOLE:
        return int(target([name, *words]))
    from medcnn.cli.words import parsed

    verb = parsed(target, words, name)
    try:
        return int(verb() or 0)
    except (MedcnnError, BrokenPipeError):
        raise
    except Exception as error:
        from medcnn.cli.mendable import as_mendable

        mendable = as_mendable(error)  # a disk or a store that fails
        if mendable is None:
            raise
        raise mendable from error


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb.

    Returns:
        The exit code: 0 done, 2 a mistake of the user, 3 some files not scored.
    """
    # Before anything imports MLflow (MONAI does): nothing here phones home.
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    words = list(sys.argv[1:] if argv is None else argv)
    mask = os.umask(0o077)  # results, models and the store of runs are about patients: for their owner's eyes
    try:
        with quiet_libraries():
            return _exit_code(words)
    finally:
        os.umask(mask)


def _exit_code(words: list[str]) -> int:
    try:
        return _answer(words)
    except MedcnnError as error:
        print(f"medcnn {words[0]}: {printable(error)}", file=sys.stderr)
        return 2
    except BrokenPipeError:
        # The reader of our output went away (``medcnn score ... | head``): nothing is left to say.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt:
        print(f"medcnn {words[0]}: stopped{ON_AGAIN if words[0] in LEDGERED else ''}", file=sys.stderr)
        return 130


def _answer(words: list[str]) -> int:
    if not words or words[0] in ("-h", "--help", "help"):
        print(_usage(), flush=True)
        return 0 if words else 2
    if words[0] == "--version":
        print(f"medcnn {__version__}")
        return 0
    if words[0] not in VERBS:
        print(f"medcnn: there is no verb '{printable(words[0], 60)}'; there are {', '.join(VERBS)}", file=sys.stderr)
        return 2
    return _call(words[0], words[1:])


def run() -> None:
    """Run the console script."""
    quiet_command()
    sys.exit(main())
