"""The verbs and their options. Nothing heavy is imported before a verb needs it."""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from rich.console import Console

from workbench.cli.json_output import text
from workbench.errors import SearchError, WorkbenchError
from workbench.report.formatting import format_command, format_duration, format_number

if TYPE_CHECKING:
    from workbench.cli.progress import ProgressView
    from workbench.search.events import Event
    from workbench.study import Study, Summary

_INTERRUPTED = 130
_INTERRUPTION = "interrupted; finished folds are kept, and the same command goes on from there."

app = typer.Typer(
    help="From a study file to a submission: search model families, track every trial, blend the best.",
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

StudyFile = Annotated[str, typer.Argument(metavar="STUDY.yaml", help="The study file.")]
HomeFolder = Annotated[
    str | None, typer.Option("--home", metavar="DIR", help="The folder of all studies [WORKBENCH_HOME, else mlruns].")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout, and nothing else there.")]


def main() -> None:
    """Run the command line: 0 done, 2 the user's mistake, 1 a bug or no family left, 130 interrupted."""
    signal.signal(signal.SIGINT, _interrupt)
    try:
        code = app(sys.argv[1:] or ["--help"], standalone_mode=False)
    except SearchError as error:
        _fail(str(error), 1)
    except WorkbenchError as error:
        _fail(str(error), 2)
    except typer.TyperException as error:
        sentence = " ".join(error.format_message().rstrip(".").split())
        _fail(f"{sentence}{'' if sentence.endswith('?') else '.'} Try 'workbench --help'.", 2)
    except (KeyboardInterrupt, typer.Abort):
        code = _INTERRUPTED
    if code == _INTERRUPTED:
        sys.stdout.flush()
        print(f"error: {_INTERRUPTION}", file=sys.stderr, flush=True)
        # What libraries do when Python takes itself down takes seconds, and nothing of ours is left to do.
        os._exit(_INTERRUPTED)
    sys.exit(code if isinstance(code, int) else 0)


def _interrupt(*_: object) -> None:
    """Let what is under way be put back; another Ctrl-C does not wait for that."""
    signal.signal(signal.SIGINT, lambda *_: os._exit(_INTERRUPTED))
    raise KeyboardInterrupt


@app.command()
def init(
    train: Annotated[
        str, typer.Argument(metavar="TRAIN", help="A table, an .npz, a folder of images, sklearn:NAME, …")
    ],
    test: Annotated[str | None, typer.Option(help="The rows to predict.")] = None,
    sample_submission: Annotated[str | None, typer.Option(help="The competition's example.")] = None,
    target: Annotated[list[str] | None, typer.Option(help="The column to predict; of several, once for each.")] = None,
    metric: Annotated[str | None, typer.Option(help="What the competition judges by [a usual one].")] = None,
    out: Annotated[str | None, typer.Option("-o", "--out", metavar="STUDY.yaml", help="The file to write.")] = None,
    force: Annotated[bool, typer.Option(help="Write over a file that is there.")] = False,
    as_json: AsJson = False,
) -> None:
    """Look at the data, and write a commented study file."""
    from workbench.autoconfig.draft import draft

    files = {"test": test, "sample_submission": sample_submission}
    made = draft(train, **files, target=target, metric=metric, out=out, force=force)
    if as_json:
        _print_json({"path": str(made.path.resolve()), **{k: getattr(made, k) for k in ("target", "task", "metric")}})
        return
    for note in made.notes:
        print(f"  {note}")
    print(f"Wrote {made.path}. Read it, change what is wrong, then: workbench run {made.path}")


@app.command()
def run(
    file: StudyFile,
    trials: Annotated[int | None, typer.Option(min=1, help="Finished trials to reach in all.")] = None,
    minutes: Annotated[float | None, typer.Option(help="Minutes this call may take, submission included.")] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Trials at the same time [one a core].")] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="In place of the study file's seed.")] = None,
    out: Annotated[str | None, typer.Option("-o", "--out", metavar="FILE", help="The submission's file.")] = None,
    events: Annotated[str | None, typer.Option(metavar="FILE", help="Add every event to it, a line of JSON.")] = None,
    home: HomeFolder = None,
    as_json: AsJson = False,
) -> None:
    """Search, blend, submit; run again to go on.

    A trial that was under way when the time was up, or when it was stopped, goes on in the next run.
    """
    if minutes is not None and not minutes > 0:
        raise typer.BadParameter(f"--minutes must be above 0. Received: {minutes}.")
    study = _open(file, home, **({} if seed is None else {"seed": seed}))
    console = Console(stderr=True)
    with _progress(study, console, trials, minutes, events) as listen:
        summary = study.run(trials=trials, minutes=minutes, workers=workers, out=out, listen=listen)
    if as_json:
        _print_json(asdict(summary))
    else:
        _tell(study, summary)


@app.command()
def leaderboard(file: StudyFile, home: HomeFolder = None, as_json: AsJson = False) -> None:
    """List every trial, best first."""
    study = _open(file, home)
    rows = study.trials()
    if as_json:
        _print_json([asdict(row) for row in rows])
        return
    from workbench.cli import console_tables

    _out().print(console_tables.leaderboard(rows, metric=study.task.scored_by.name))


@app.command()
def ensemble(
    file: StudyFile,
    sources: Annotated[
        list[str] | None,
        typer.Option("--from", metavar="STUDY2.yaml", help="Another study with the same folds; may be repeated."),
    ] = None,
    method: Annotated[str | None, typer.Option(help="nelder_mead, convex, greedy, uniform, rank, stack, best.")] = None,
    weights: Annotated[
        Literal["shared", "target", "class"] | None, typer.Option(help="One a member, or one for each target or class.")
    ] = None,
    members: Annotated[int | None, typer.Option(min=1, help="The most members.")] = None,
    home: HomeFolder = None,
    as_json: AsJson = False,
) -> None:
    """Blend the trials and imports that there are."""
    from workbench.ensemble import check

    if method is not None:
        check(method)
    made = _open(file, home).ensemble(sources=sources or (), method=method, weights=weights, members=members)
    if as_json:
        _print_json(made.document)
        return
    from workbench.cli import console_tables

    _out().print(console_tables.ensemble(made.result))
    if made.result.diversity is not None:
        _out().print(console_tables.diversity(made.result.diversity))


@app.command()
def submit(
    file: StudyFile,
    out: Annotated[str | None, typer.Option("-o", "--out", metavar="FILE", help="[NAME-submission.csv]")] = None,
    home: HomeFolder = None,
    as_json: AsJson = False,
) -> None:
    """Write the submission that the newest ensemble makes."""
    path = _open(file, home).submit(out)
    stamp = json.loads(path.with_name(path.name + ".json").read_text())
    if as_json:
        _print_json({"path": str(path), "rows": stamp["rows"], "run_id": stamp["run_id"]})
    else:
        print(f"Wrote {path} ({stamp['rows']} rows).")


@app.command()
def predict(
    file: StudyFile,
    data: Annotated[str, typer.Argument(metavar="DATA", help="The rows to predict, in the form of the training data.")],
    out: Annotated[str | None, typer.Option("-o", "--out", metavar="FILE", help="[NAME-predictions.csv]")] = None,
    home: HomeFolder = None,
    as_json: AsJson = False,
) -> None:
    """Predict new rows with the newest ensemble.

    The file has the submission's columns, and the rows in their own order.
    """
    study = _open(file, home)
    path = Path(out or f"{study.name}-predictions.csv").resolve()
    _hush()
    frame = study.predict(data, out=path, listen=partial(print, file=sys.stderr, flush=True))
    if as_json:
        _print_json({"path": str(path), "rows": len(frame)})
    else:
        print(f"Wrote {path} ({len(frame)} rows).")


@app.command()
def export(
    file: StudyFile,
    out: Annotated[
        str | None, typer.Option("-o", "--out", metavar="DIR", help="Write the model's folder here.")
    ] = None,
    register: Annotated[bool, typer.Option(help="Register it in MLflow under the study's name.")] = False,
    home: HomeFolder = None,
    as_json: AsJson = False,
) -> None:
    """Make MLflow models of the newest ensemble and its members.

    They take raw columns, and can be served where neither the study nor this program is:
    mlflow models serve -m DIR --env-manager local -h 127.0.0.1
    """
    _hush()
    made = _open(file, home).export(out, register=register, listen=partial(print, file=sys.stderr, flush=True))
    if as_json:
        _print_json(made)
        return
    print(f"Logged as {made['model_uri']}.\nIts folder: {made['path']}")
    if made["registered"] is not None:
        print("Registered as {name}, version {version}, alias {alias}.".format(**made["registered"]))


@app.command()
def folds(
    file: StudyFile,
    out: Annotated[str, typer.Option("-o", "--out", metavar="FILE", help="The CSV to write.")],
    home: HomeFolder = None,
    as_json: AsJson = False,
) -> None:
    """Write the folds, for models trained elsewhere.

    The file holds id, repeat and fold of every row that is validated.
    """
    digest = _open(file, home).write_folds(out)
    if as_json:
        _print_json({"path": str(Path(out).resolve()), "hash": digest})
    else:
        print(f"Wrote {out} (fold hash {digest}).")


@app.command("import")
def import_(
    file: StudyFile,
    oof: Annotated[str, typer.Option(metavar="FILE", help="A table of id, fold (and repeat) and predictions.")],
    name: Annotated[str, typer.Option(metavar="NAME", help="What the predictions are called.")],
    test: Annotated[str | None, typer.Option(metavar="FILE", help="A table of id and test predictions.")] = None,
    home: HomeFolder = None,
    as_json: AsJson = False,
) -> None:
    """Take predictions made elsewhere into the study.

    They must be made with the folds that `workbench folds` writes, and may become members of its ensembles.
    Those of the same name are replaced.
    """
    study = _open(file, home)
    taken = study.take(name, oof=oof, test=test)
    if as_json:
        _print_json(taken)
        return
    verb = "Replaced" if taken["replaced"] else "Imported"
    print(f"{verb} {name}: {study.task.metric.name} {format_number(taken['score'])}.")


@app.command()
def gc(file: StudyFile, home: HomeFolder = None, as_json: AsJson = False) -> None:
    """Free the weights that no ensemble needs.

    Those of the best trial and of the newest ensemble's members stay, and so do all predictions. Decoded images that
    were not used for a week go, too.
    """
    freed = _open(file, home).gc()
    if as_json:
        _print_json({"freed": freed})
    else:
        print(f"Freed {freed / 1e6:.1f} MB.")


@app.command()
def report(
    file: StudyFile,
    out: Annotated[str | None, typer.Option("-o", "--out", metavar="FILE", help="[NAME-report.html]")] = None,
    markdown: Annotated[bool, typer.Option("--markdown", help="For a repository, with figures beside it.")] = False,
    home: HomeFolder = None,
    as_json: AsJson = False,
) -> None:
    """Tell the study in one page, also while it runs.

    The question, the answer and what it is worth, what to do next, figures, every trial: one HTML file that needs
    nothing beside it.
    """
    path = _open(file, home).report(out, markdown)
    if as_json:
        _print_json({"path": str(path)})
    else:
        print(f"Wrote {path} ({path.stat().st_size / 1e6:.1f} MB).")


@app.command()
def ui(
    port: Annotated[int, typer.Option(min=1, max=65535, help="MLflow's port; one near it when it is taken.")] = 5000,
    dashboard: Annotated[bool, typer.Option("--dashboard", help="Optuna's dashboard too.")] = False,
    tensorboard: Annotated[bool, typer.Option("--tensorboard", help="The trials' curves in TensorBoard too.")] = False,
    browser: Annotated[bool, typer.Option("--open", help="Open the newest study in the browser.")] = False,
    home: HomeFolder = None,
) -> None:
    """Show the studies in the MLflow UI, on this machine only."""
    from workbench import home as homes
    from workbench.cli import ui

    # However this process is asked to end, it ends its servers in good order.
    for sign in ("SIGINT", "SIGTERM", "SIGHUP"):
        if hasattr(signal, sign):
            signal.signal(getattr(signal, sign), signal.default_int_handler)
    try:
        ui.show(homes.find(home), port, dashboard=dashboard, tensorboard=tensorboard, browser=browser)
    except KeyboardInterrupt:
        print("Ended.", file=sys.stderr)


@app.command()
def families(as_json: AsJson = False) -> None:
    """List the model families: what each is, and which data and tasks it takes, and how several targets."""
    from workbench.models import FAMILIES

    if as_json:
        known = [
            {
                "name": n,
                "description": e.description,
                "kinds": list(e.kinds),
                "tasks": list(e.tasks),
                "joint": e.joint,
                "installed": e.installed,
            }
            for n, e in FAMILIES.items()
        ]
        _print_json(known)
        return
    for name, entry in FAMILIES.items():
        missing = "" if entry.installed else "  (not installed)"
        print(f"{name:<20} {entry.description}{missing}")
        together = "together" if entry.joint else "one by one"
        print(f"{'':<20} takes {', '.join(entry.kinds)}; {', '.join(entry.tasks)}; several targets {together}")
    print(
        f"{'':<20} of data of kind mixed, a family that does not take them is given its part: the table or the images"
    )
    print(f"{'file.py:Name':<20} your own: a HyperModel, build(hp), or a function that returns an estimator")


@app.command()
def metrics(as_json: AsJson = False) -> None:
    """List the metrics."""
    from workbench import evaluation

    known = evaluation.describe()
    if as_json:
        _print_json(known)
        return
    for metric in known:
        arrow = "↑" if metric["direction"] == "maximize" else "↓"
        print(f"{metric['name']:<18} {arrow} {metric['description']} ({', '.join(metric['tasks'])})")
    print("Your own: file.py:function, with function.direction = 'minimize' or 'maximize'.")


@app.command()
def schema() -> None:
    """Print the JSON Schema of a study file, for editors."""
    from workbench import config

    _print_json(config.schema())


def _hush() -> None:
    """Keep off the screen what TensorFlow says while it loads, and of each net that predicts."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    logging.getLogger("tensorflow").setLevel(logging.ERROR)


def _open(file: str, home: str | None, **overrides: Any) -> Study:
    from workbench.study import open

    return open(file, home, tell=lambda line: print(line, file=sys.stderr, flush=True), **overrides)


@contextmanager
def _progress(
    study: Study, console: Console, trials: int | None, minutes: float | None, events: str | None
) -> Iterator[Callable[[Event], None]]:
    """Draw live on a terminal, and lines elsewhere; write events to a file where one is named."""
    from workbench.cli.progress import EventLog, LineProgress, LiveProgress

    maximize = study.task.scored_by.direction == "maximize"
    own = trials is not None or minutes is not None
    budget = (trials, minutes) if own else (study.config.search.trials, study.config.search.minutes)
    listeners: list[ProgressView] = [EventLog(Path(events))] if events is not None else []
    if console.is_terminal:
        title = f"{study.name} · {study.task.scored_by.name}"
        listeners.append(LiveProgress(console, title=title, maximize=maximize, trials=budget[0], minutes=budget[1]))
    else:
        listeners.append(LineProgress(console, maximize=maximize))

    def listen(event: Event) -> None:
        for listener in listeners:
            listener(event)

    with ExitStack() as stack:
        for listener in listeners:
            stack.enter_context(listener)
        yield listen


def _tell(study: Study, summary: Summary) -> None:
    """Print how a run ended: families, ensemble, submission, and the truth where it is known."""
    from workbench.cli import console_tables
    from workbench.ensemble import EnsembleResult

    console = _out()
    for note in study.task.dataset.notes:
        console.print(note, style="dim", soft_wrap=True, highlight=False)
    console.print(console_tables.by_family(study.trials(), metric=study.task.metric.name))
    if summary.ensemble is not None:
        console.print(console_tables.ensemble(EnsembleResult.from_document(summary.ensemble)))
    if summary.submission is not None:
        console.print(f"Submission: {summary.submission}", soft_wrap=True, highlight=False)
    if summary.test_scores is not None and summary.ensemble is not None:
        scores = ", ".join(f"{name} {format_number(value)}" for name, value in summary.test_scores.items())
        console.print(f"Its true score, looked at once: {scores}.", soft_wrap=True, highlight=False)
    if summary.model_uri is not None:
        console.print(f"MLflow model: {summary.model_uri}", soft_wrap=True, highlight=False)
    counts = ", ".join(f"{count} {state}" for state, count in summary.trials.items())
    around = f"workbench ui · {format_command('report', str(study.config.file))}"
    console.print(
        f"{counts} in {format_duration(summary.seconds)}. Look around: {around}", soft_wrap=True, highlight=False
    )


def _out() -> Console:
    """Return stdout as a console, wide enough for a table where it is not a terminal."""
    console = Console()
    return console if console.is_terminal else Console(width=120)


def _print_json(document: Any) -> None:
    print(text(document, indent=1))


def _fail(message: str, code: int) -> None:
    print(f"error: {message}", file=sys.stderr)
    sys.exit(code)
