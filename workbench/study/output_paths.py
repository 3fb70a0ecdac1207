"""The files and folders that a study writes outside its home, checked before anything is computed."""

from __future__ import annotations

import os
from pathlib import Path

from workbench import files
from workbench.config import StudyConfig
from workbench.errors import ConfigError

_LOG_FOLDERS = ("csv_log", "checkpoint", "tensorboard")


def check_out(config: StudyConfig, path: Path) -> None:
    """Refuse a file for predictions that cannot be written, or that the study reads; nothing is written.

    Raises:
        SubmissionError: the file cannot be written.
        ConfigError: the study reads the file.
    """
    from workbench import submission

    data = config.data
    names = (data.train, data.test, data.labels, data.sample_submission)
    sources = [Path(config.file), *(config.resolve(name) for name in names if name is not None)]
    # os.path.exists is False for a path that cannot be looked at.
    if os.path.exists(path) and any(os.path.exists(source) and source.samefile(path) for source in sources):
        raise ConfigError(f"-o must not be a file that the study reads. Received: {str(path)!r}. Name another file.")
    submission.check_path(path)


def check_log_folders(config: StudyConfig) -> None:
    """Refuse log folders that cannot be written to.

    Raises:
        ConfigError: there is a file in the place of a folder, or the folder cannot be written to.
    """
    for key in _LOG_FOLDERS:
        value = getattr(config.training, key)
        if value is None:
            continue
        try:
            files.check_folder(config.resolve(value))
        except OSError as error:
            hint = f" {error.strerror}. Name another folder."
            raise config.error(f"training.{key}", "must be a folder that can be written to", value, hint) from error
