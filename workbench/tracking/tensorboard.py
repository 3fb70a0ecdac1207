"""TensorBoard over the curves of a home's trials; its files are written when it starts, so training writes none."""

from __future__ import annotations

import re
import sys
import tempfile
import time
import types
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pandas as pd

from workbench import servers
from workbench.home import Home
from workbench.tracking import home_index

PORT = 6006
PAGE = "/?smoothing=0&tagFilter=loss#timeseries"
"""The page of unsmoothed losses, without the other values that nets report."""

# Seconds for the newest curves before TensorBoard starts, and between two searches for new trials.
_WRITE_BEFORE_START = 3.0
_INTERVAL = 5.0


@contextmanager
def serve(home: Home, port: int) -> Iterator[servers.Server]:
    """Run TensorBoard while the context lasts: a run for each fold of each trial that has losses.

    Args:
        home: the home whose trials are shown, also those that end later.
        port: the port to listen on, which must be free.

    Raises:
        StudyError: the home has no study, or cannot be read.
    """
    home_index.studies(home)
    with tempfile.TemporaryDirectory(prefix="workbench-curves-", ignore_cleanup_errors=True) as folder:
        arguments = (str(home.path), folder, str(port))
        with servers.start("TensorBoard", __name__, *arguments, port=port) as server:
            yield server


def write(home: Home, folder: Path, done: set[str]) -> Iterator[str]:
    """Write the curves of the trials that are not `done` below `folder`, the newest trial first; yield each one's id.

    TensorBoard lists them as STUDY/TRIAL/FOLD.
    """
    for trial in home_index.trials(home):
        if trial.run_id in done:
            continue
        # Families without losses have no such file. A damaged file must not hide the other trials.
        with suppress(OSError, ValueError):
            curves = pd.read_parquet(trial.folder / "curves.parquet")
            _write(curves, folder / _folder_name(trial.study) / _folder_name(trial.name), trial.began)
        done.add(trial.run_id)
        yield trial.run_id


def _write(curves: pd.DataFrame, folder: Path, began: float) -> None:
    """Write the curves of a trial: its losses by epoch, a folder for each fold."""
    from tensorboard.summary import Writer

    losses = [name for name in curves.columns if name not in ("repeat", "fold", "epoch")]
    for (repeat, fold), curve in curves.groupby(["repeat", "fold"]):
        writer = Writer(str(folder / (f"fold {fold}" if repeat == 0 else f"repeat {repeat} fold {fold}")))
        for name in losses:
            for epoch, loss in curve[["epoch", name]].dropna().itertuples(index=False):
                writer.add_scalar(name, loss, int(epoch), wall_time=began)
        writer.close()


def _folder_name(name: str) -> str:
    """Return a name without path separators."""
    return re.sub(r"[/\\\s]+", " ", name).strip(". ") or "_"


def _main(path: str, folder: str, port: str) -> None:
    # This module makes TensorBoard work without TensorFlow, which it would otherwise load if it is installed.
    sys.modules["tensorboard.compat.notf"] = types.ModuleType("tensorboard.compat.notf")
    from tensorboard import default, program

    home, done = Home(Path(path)), set[str]()
    end = time.monotonic() + _WRITE_BEFORE_START
    for _ in write(home, Path(folder), done):
        if time.monotonic() > end:
            break
    board = program.TensorBoard(default.get_static_plugins())
    board.configure(logdir=folder, host=servers.HOST, port=int(port))
    board.launch()
    while True:
        for _ in write(home, Path(folder), done):
            pass
        time.sleep(_INTERVAL)


if __name__ == "__main__":
    _main(*sys.argv[1:])
