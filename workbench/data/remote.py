"""Remote sources: openml: returns a frame, kaggle: returns files. Their libraries load on first use."""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from workbench.data.csv_header import form
from workbench.errors import DataError, SourceError, did_you_mean, format_list

if TYPE_CHECKING:
    import pandas as pd

_INSTALL = "Install it with: pip install kagglehub."
_KEY = (
    "Save a token from https://www.kaggle.com/settings as ~/.kaggle/kaggle.json, or set KAGGLE_API_TOKEN, "
    "or KAGGLE_USERNAME and KAGGLE_KEY."
)
_BY_HAND = "or download the files and set data.train to them."


class Files(NamedTuple):
    """The files of a competition."""

    train: Path
    test: Path | None
    sample: Path | None


def openml(name: str, *, fetch: Callable[..., Any] | None = None) -> tuple[pd.DataFrame, str | None]:
    """Download an OpenML data set by number or name; return its frame, and its target if it has one target.

    `fetch` replaces scikit-learn's `fetch_openml`.

    Raises:
        SourceError: there is no network, or no such data set.
    """
    if fetch is None:
        from sklearn.datasets import fetch_openml

        fetch = fetch_openml
    which = {"data_id": int(name)} if name.isdigit() else {"name": name, "version": "active"}
    try:
        # The error after a failed retry repeats this warning.
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="A network error occurred")
            bunch = fetch(**which, as_frame=True, parser="auto", n_retries=1, delay=0.5)
    except (OSError, ValueError) as error:
        reason = str(getattr(error, "reason", error)).rstrip(".")
        raise SourceError(
            f"openml:{name} cannot be read ({reason}). Check the name and the network, {_BY_HAND}"
        ) from error
    targets = list(bunch.target_names or ())
    return bunch.frame, targets[0] if len(targets) == 1 else None


def check_kaggle(name: str, *, find: Callable[[str], object] = find_spec) -> None:
    """Refuse a kaggle: source without the package, or with neither a key nor an earlier download.

    `find` returns whether a package is installed.

    Raises:
        SourceError: the package or the key is missing.
    """
    if find("kagglehub") is None:
        raise SourceError(f"kaggle:{name} needs the package kagglehub, which is not installed. {_INSTALL}")
    if not _has_key() and not _is_downloaded(name.partition("/")[0]):
        raise SourceError(f"kaggle:{name} needs a Kaggle key, and none was found. {_KEY}")


def kaggle(name: str, *, download: Callable[[str], str] | None = None) -> Files:
    """Download a competition, `NAME` or `NAME/FILE`, and find train, test and sample submission in it.

    `download` replaces kagglehub's `competition_download`: a competition's name -> its folder.

    Raises:
        SourceError: no package, key, network or permission, or no such competition.
        DataError: the competition has no training file that can be read.
    """
    competition, _, file = name.partition("/")
    folder = Path(_download(competition, download or _downloader(name)))
    found = sorted(
        (path for path in folder.rglob("*") if path.is_file() and form(path) is not None),
        key=lambda path: (len(path.parts), path.name),
    )
    train = _first(found, folder, file) if file else _first_matching(found, r"train\b")
    if train is None:
        names = [str(path.relative_to(folder)) for path in found]
        raise DataError(
            f"kaggle:{competition} has no file {file or 'train.csv'!r}.{did_you_mean(file, names)} "
            f"Files: {format_list(names) or 'none that can be read'}. Set data.train to kaggle:{competition}/FILE."
        )
    return Files(train, _first_matching(found, r"test\b"), _first_matching(found, r".*submission"))


def _first(found: list[Path], folder: Path, file: str) -> Path | None:
    """Return the file with this path in the folder, else with this name."""
    return next((path for path in found if file in (str(path.relative_to(folder)), path.name)), None)


def _first_matching(found: list[Path], pattern: str) -> Path | None:
    return next((path for path in found if re.match(pattern, path.name, re.IGNORECASE)), None)


def _downloader(name: str) -> Callable[[str], str]:
    check_kaggle(name)
    from kagglehub import competition_download

    return competition_download  # type: ignore[no-any-return]


def _download(competition: str, download: Callable[[str], str]) -> str:
    """Download a competition and return its folder; errors become a SourceError."""
    refused: tuple[type[Exception], ...] = (ValueError, *_kagglehub_errors())
    try:
        return download(competition)
    except OSError as error:
        # The errors of requests are OSErrors; those with a response come from Kaggle.
        status = getattr(getattr(error, "response", None), "status_code", None)
        raise SourceError(_explain_refusal(competition, status)) from error
    except refused as error:
        raise SourceError(f"kaggle:{competition} cannot be read ({type(error).__name__}). {_KEY}") from error


def _kagglehub_errors() -> tuple[type[Exception], ...]:
    """Return kagglehub's errors about keys and names, which have no common base class."""
    if find_spec("kagglehub") is None:
        return ()
    from kagglehub import exceptions

    return exceptions.UnauthenticatedError, exceptions.CredentialError, exceptions.NotFoundError


def _explain_refusal(competition: str, status: int | None) -> str:
    start = f"kaggle:{competition} cannot be downloaded"
    if status == 401:
        return f"{start}: Kaggle does not know the key. {_KEY}"
    if status == 403:
        rules = f"https://www.kaggle.com/competitions/{competition}/rules"
        return f"{start}: Kaggle refuses it. Join the competition and accept its rules at {rules}, then run again."
    if status == 404:
        return f"{start}: Kaggle has no competition of this name. Take the name from the competition's address."
    answer = f"Kaggle answered {status}" if status else "Kaggle cannot be reached"
    return f"{start}: {answer}. Check the network and try again, {_BY_HAND}"


def _has_key() -> bool:
    """Return whether there is a key where kagglehub looks for one, without reading its value."""
    environment = os.environ
    if environment.get("KAGGLE_API_TOKEN") or (environment.get("KAGGLE_USERNAME") and environment.get("KAGGLE_KEY")):
        return True
    folder = Path(environment.get("KAGGLE_CONFIG_DIR") or Path.home() / ".kaggle")
    return any((folder / name).is_file() for name in ("kaggle.json", "access_token"))


def _is_downloaded(competition: str) -> bool:
    """Return whether kagglehub has downloaded the competition before; then it needs no key."""
    cache = Path(os.environ.get("KAGGLEHUB_CACHE") or Path.home() / ".cache" / "kagglehub")
    folder = cache / "competitions" / competition
    return folder.is_dir() and any(folder.iterdir())
