"""The commands and their options. A command imports heavy libraries only when it needs them."""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from workbench.cli import interruption, terminal
from workbench.errors import SearchError, WorkbenchError
from workbench.files import make_absolute

if TYPE_CHECKING:
    from workbench.autoconfig.draft import Draft
    from workbench.study import Study

_INTERRUPTION = "interrupted; finished folds are kept, and the same command goes on from there."

app = typer.Typer(
    help="Search model families, track every trial, blend the best, and write a submission.",
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def _print_version(value: bool) -> None:
    """Print the version and end the command."""
    if value:
        from workbench import __version__

        terminal.print_line(f"workbench {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    pass


StudyFile = Annotated[str, typer.Argument(metavar="STUDY.yaml", help="The study file.")]
HomeFolder = Annotated[
    str | None,
    typer.Option(
        "--home",
        metavar="DIR",
        help="The folder of all studies. Default: the environment variable WORKBENCH_HOME, else mlruns in the current "
        "folder, or beside the study file if only that is a home.",
    ),
]
Details = Annotated[
    bool,
    typer.Option(
        "--details", help="Print simpler blends, the weights' certificate and the members' diversity as well."
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout instead of text.")]


def main() -> None:
    """Run the command line and exit.

    The exit status is 0 for success, 1 for a bug or if no family is left, 2 for a mistake of the user, and 130 after an
    interruption.
    """
    terminal.configure_streams()
    signal.signal(signal.SIGINT, interruption.interrupt)
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
        code = interruption.STATUS
    if code == interruption.STATUS:
        sys.stdout.flush()
        terminal.print_message(f"error: {_INTERRUPTION}")
        interruption.exit_at_once()
    sys.exit(code if isinstance(code, int) else 0)


@app.command()
def init(
    train: Annotated[
        str,
        typer.Argument(
            metavar="TRAIN", help="The training data: a table, an .npz, a folder of images, sklearn:NAME, …"
        ),
    ],
    test: Annotated[str | None, typer.Option(help="The rows to predict. Default: a file beside TRAIN.")] = None,
    sample_submission: Annotated[
        str | None, typer.Option(help="The competition's sample submission. Default: a file beside TRAIN.")
    ] = None,
    target: Annotated[
        list[str] | None,
        typer.Option(help="The target column; repeat the option for several targets. Default: inferred."),
    ] = None,
    metric: Annotated[
        str | None, typer.Option(help="The metric of the competition. Default: a common one for the task.")
    ] = None,
    out: Annotated[
        str | None,
        typer.Option("-o", "--out", metavar="STUDY.yaml", help="The study file to write. Default: named after TRAIN."),
    ] = None,
    force: Annotated[bool, typer.Option(help="Overwrite an existing file.")] = False,
    as_json: AsJson = False,
) -> None:
    """Profile the data and write a commented study file."""
    from workbench.autoconfig.draft import draft

    files = {"test": test, "sample_submission": sample_submission}
    written = draft(train, **files, target=target, metric=metric, out=out, force=force)
    if as_json:
        terminal.print_json(
            {
                "path": str(make_absolute(written.path)),
                **{key: getattr(written, key) for key in ("target", "task", "metric", "notes")},
                "columns": [asdict(column) for column in written.columns],
            }
        )
        return
    _print_draft(written)


def _print_draft(written: Draft) -> None:
    """Print what `init` inferred, the columns, and where the study file is."""
    from workbench.cli.column_table import show_columns

    for note in written.notes:
        terminal.print_line(f"  {note}")
    terminal.create_console().print(show_columns(written.columns))
    terminal.print_line(f"Wrote {written.path}. Read it, change what is wrong, then: workbench run {written.path}")


@app.command()
def run(
    file: StudyFile,
    trials: Annotated[
        int | None, typer.Option(min=1, help="The number of finished trials that the study should reach in all.")
    ] = None,
    minutes: Annotated[
        float | None, typer.Option(help="The time limit of this call in minutes, submission included.")
    ] = None,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Trials that run at the same time. Default: one per core.")
    ] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="The random seed, in place of the study file's.")] = None,
    out: Annotated[
        str | None,
        typer.Option("-o", "--out", metavar="FILE", help="The submission file. Default: NAME-submission.csv."),
    ] = None,
    events: Annotated[
        str | None, typer.Option(metavar="FILE", help="A file to which every event is appended as a line of JSON.")
    ] = None,
    details: Details = False,
    home: HomeFolder = None,
    as_json: AsJson = False,
) -> None:
    """Search, blend the trials, and write the submission.

    Run the command again to continue. A trial that was running when the time was up or the command was interrupted
    continues in the next run. The first Ctrl-C ends the search, and what there is is blended and written; the second
    ends the command.
    """
    if minutes is not None and not minutes > 0:
        raise typer.BadParameter(f"--minutes must be above 0. Received: {minutes}.")
    study = _open(file, home, **({} if seed is None else {"seed": seed}))
    study.check_settings()
    study.preload(workers=workers)
    from workbench.cli.progress import show_progress

    request = interruption.StopRequest()
    with show_progress(study, terminal.create_console(error=True), trials, minutes, events) as show:
        options: dict[str, Any] = {"listen": request.watch(show), "must_stop": request.is_made}
        summary = study.run(trials=trials, minutes=minutes, workers=workers, out=out, **options)
    if as_json:
        terminal.print_json(asdict(summary))
    else:
        from workbench.cli.summary_output import print_summary

        print_summary(terminal.create_console(), study, summary, details=details)
    request.exit_if_made()


@app.command()
def leaderboard(file: StudyFile, home: HomeFolder = None, as_json: AsJson = False) -> None:
    """List all trials, the best first."""
    study = _open(file, home)
    rows = study.trials()
    if as_json:
        terminal.print_json([asdict(row) for row in rows])
        return
    from workbench.cli import console_tables

    terminal.create_console().print(console_tables.leaderboard(rows, metric=study.task.scored_by.name))
    terminal.print_line(f"Home: {study.home.path}")


@app.command()
def ensemble(
    file: StudyFile,
    sources: Annotated[
        list[str] | None,
        typer.Option(
            "--from",
            metavar="STUDY2.yaml",
            help="A further study with the same folds, whose trials are blended too. May be repeated.",
        ),
    ] = None,
    method: Annotated[
        str | None,
        typer.Option(
            help="The method that finds the weights: nelder_mead, convex, greedy, uniform, rank, stack, best. "
            "Default: decided by honest scores."
        ),
    ] = None,
    weights: Annotated[
        Literal["shared", "target", "class"] | None,
        typer.Option(help="Whether a member has one weight, or one for each target or class."),
    ] = None,
    members: Annotated[int | None, typer.Option(min=1, help="The maximum number of members.")] = None,
    details: Details = False,
    home: HomeFolder = None,
    as_json: AsJson = False,
) -> None:
    """Blend the trials and imported predictions of the study."""
    from workbench.ensemble import check

    if method is not None:
        check(method)
    made = _open(file, home).ensemble(sources=sources or (), method=method, weights=weights, members=members)
    if as_json:
        terminal.print_json(made.document)
        return
    from workbench.cli.summary_output import print_ensemble

    print_ensemble(terminal.create_console(), made.result, details=details)


@app.command()
def submit(
    file: StudyFile,
    out: Annotated[
        str | None, typer.Option("-o", "--out", metavar="FILE", help="The file to write. Default: NAME-submission.csv.")
    ] = None,
    home: HomeFolder = None,
    as_json: AsJson = False,
) -> None:
    """Write the submission of the newest ensemble."""
    path = _open(file, home).submit(out)
    stamp = json.loads(path.with_name(path.name + ".json").read_text())
    if as_json:
        terminal.print_json({"path": str(path), "rows": stamp["rows"], "run_id": stamp["run_id"]})
    else:
        terminal.print_line(f"Wrote {path} ({stamp['rows']} rows).")


@app.command()
def predict(
    file: StudyFile,
    data: Annotated[
        str, typer.Argument(metavar="DATA", help="The rows to predict, in the same format as the training data.")
    ],
    out: Annotated[
        str | None,
        typer.Option("-o", "--out", metavar="FILE", help="The file to write. Default: NAME-predictions.csv."),
    ] = None,
    home: HomeFolder = None,
    as_json: AsJson = False,
) -> None:
    """Predict new rows with the newest ensemble.

    The file has the columns of the submission, and the rows in the order of DATA.
    """
    study = _open(file, home)
    path = Path(out or f"{study.name}-predictions.csv").resolve()
    _silence_tensorflow()
    frame = study.predict(data, out=path, listen=terminal.print_message)
    if as_json:
        terminal.print_json({"path": str(path), "rows": len(frame)})
    else:
        terminal.print_line(f"Wrote {path} ({len(frame)} rows).")


@app.command()
def export(
    file: StudyFile,
    out: Annotated[
        str | None, typer.Option("-o", "--out", metavar="DIR", help="The folder to write the model to.")
    ] = None,
    register: Annotated[bool, typer.Option(help="Register the model in MLflow under the study's name.")] = False,
    home: HomeFolder = None,
    as_json: AsJson = False,
) -> None:
    """Log the newest ensemble and its members as MLflow models.

    The models take raw columns and can be served without the study and without workbench:
    mlflow models serve -m DIR --env-manager local -h 127.0.0.1
    """
    _silence_tensorflow()
    made = _open(file, home).export(out, register=register, listen=terminal.print_message)
    if as_json:
        terminal.print_json(made)
        return
    terminal.print_line(f"Logged as {made['model_uri']}.\nIts folder: {made['path']}")
    if made["registered"] is not None:
        terminal.print_line("Registered as {name}, version {version}, alias {alias}.".format(**made["registered"]))


@app.command()
def folds(
    file: StudyFile,
    out: Annotated[str, typer.Option("-o", "--out", metavar="FILE", help="The CSV file to write.")],
    home: HomeFolder = None,
    as_json: AsJson = False,
) -> None:
    """Write the folds, for models that are trained elsewhere.

    The file has the columns id, repeat and fold, with a line for every row that is validated.
    """
    digest = _open(file, home).write_folds(out)
    if as_json:
        terminal.print_json({"path": str(Path(out).resolve()), "hash": digest})
    else:
        terminal.print_line(f"Wrote {out} (fold hash {digest}).")


@app.command("import")
def import_(
    file: StudyFile,
    oof: Annotated[
        str, typer.Option(metavar="FILE", help="A table with id, fold (and repeat) and the out-of-fold predictions.")
    ],
    name: Annotated[str, typer.Option(metavar="NAME", help="The name of the predictions in the study.")],
    test: Annotated[str | None, typer.Option(metavar="FILE", help="A table with id and the test predictions.")] = None,
    home: HomeFolder = None,
    as_json: AsJson = False,
) -> None:
    """Import predictions of a model that was trained elsewhere.

    They must be made with the folds that `workbench folds` writes, and may become members of the study's ensembles.
    Earlier predictions with the same name are replaced.
    """
    study = _open(file, home)
    taken = study.take(name, oof=oof, test=test)
    if as_json:
        terminal.print_json(taken)
        return
    from workbench.report.formatting import format_number

    verb = "Replaced" if taken["replaced"] else "Imported"
    terminal.print_line(f"{verb} {name}: {study.task.metric.name} {format_number(taken['score'])}.")


@app.command()
def gc(file: StudyFile, home: HomeFolder = None, as_json: AsJson = False) -> None:
    """Delete the model checkpoints that no ensemble needs.

    The checkpoints of the best trial and of the newest ensemble's members stay, and so do all predictions. Decoded
    images that were not used for a week are deleted as well.
    """
    freed = _open(file, home).gc()
    if as_json:
        terminal.print_json({"freed": freed})
    else:
        terminal.print_line(f"Freed {freed / 1e6:.1f} MB.")


@app.command()
def report(
    file: StudyFile,
    out: Annotated[
        str | None, typer.Option("-o", "--out", metavar="FILE", help="The file to write. Default: NAME-report.html.")
    ] = None,
    markdown: Annotated[
        bool, typer.Option("--markdown", help="Write Markdown, with the figures in a folder beside it.")
    ] = False,
    home: HomeFolder = None,
    as_json: AsJson = False,
) -> None:
    """Write a report of the study, also while it runs.

    The report is one self-contained HTML file with the task, the result and its reliability, recommendations, figures
    and all trials.
    """
    path = _open(file, home).report(out, markdown)
    if as_json:
        terminal.print_json({"path": str(path)})
    else:
        terminal.print_line(f"Wrote {path} ({path.stat().st_size / 1e6:.1f} MB).")


@app.command()
def ui(
    port: Annotated[
        int, typer.Option(min=1, max=65535, help="The port of MLflow; if it is taken, a free port near it is used.")
    ] = 5000,
    dashboard: Annotated[bool, typer.Option("--dashboard", help="Start Optuna's dashboard as well.")] = False,
    tensorboard: Annotated[
        bool, typer.Option("--tensorboard", help="Start TensorBoard with the trials' curves as well.")
    ] = False,
    browser: Annotated[bool, typer.Option("--open", help="Open the page of the newest study in the browser.")] = False,
    home: HomeFolder = None,
) -> None:
    """Serve the MLflow UI with the studies, on this machine only."""
    from workbench import home as homes
    from workbench.cli import ui

    # Every signal to end raises KeyboardInterrupt, so that the servers are stopped too.
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.default_int_handler)
    try:
        ui.show(homes.find(home), port, dashboard=dashboard, tensorboard=tensorboard, browser=browser)
    except KeyboardInterrupt:
        terminal.print_message("Ended.")


@app.command()
def families(as_json: AsJson = False) -> None:
    """List the model families with their kinds of data and tasks."""
    from workbench.models import FAMILIES

    if as_json:
        document = [
            {
                "name": name,
                "description": entry.description,
                "kinds": list(entry.kinds),
                "tasks": list(entry.tasks),
                "joint": entry.joint,
                "installed": entry.installed,
            }
            for name, entry in FAMILIES.items()
        ]
        terminal.print_json(document)
        return
    for name, entry in FAMILIES.items():
        missing = "" if entry.installed else "  (not installed)"
        terminal.print_line(f"{name:<20} {entry.description}{missing}")
        together = "together" if entry.joint else "one by one"
        terminal.print_line(
            f"{'':<20} takes {', '.join(entry.kinds)}; {', '.join(entry.tasks)}; several targets {together}"
        )
    terminal.print_line(
        f"{'':<20} from data of kind mixed, a family that does not take it gets its part: the table or the images"
    )
    terminal.print_line(
        f"{'file.py:Name':<20} a custom family: a HyperModel, build(hp), or a function that returns an estimator"
    )


@app.command()
def metrics(as_json: AsJson = False) -> None:
    """List the metrics."""
    from workbench import evaluation

    document = evaluation.describe()
    if as_json:
        terminal.print_json(document)
        return
    for metric in document:
        arrow = "↑" if metric["direction"] == "maximize" else "↓"
        terminal.print_line(f"{metric['name']:<18} {arrow} {metric['description']} ({', '.join(metric['tasks'])})")
    terminal.print_line("A custom metric: file.py:function, with function.direction = 'minimize' or 'maximize'.")


@app.command()
def schema() -> None:
    """Print the JSON Schema of a study file."""
    from workbench import config

    terminal.print_json(config.json_schema())


def _silence_tensorflow() -> None:
    """Suppress the messages that TensorFlow prints when it is imported and when a net predicts."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    logging.getLogger("tensorflow").setLevel(logging.ERROR)


def _open(file: str, home: str | None, **overrides: Any) -> Study:
    """Open a study that reports its progress on stderr."""
    from workbench.study import open

    return open(file, home, tell=terminal.print_message, **overrides)


def _fail(message: str, code: int) -> None:
    terminal.print_message(f"error: {message}")
    sys.exit(code)
