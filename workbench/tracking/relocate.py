"""A home that was moved or copied: MLflow's database says in absolute paths where artifacts lie, and is mended."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from urllib.parse import unquote

from workbench.errors import StudyError
from workbench.home import Home

# Where MLflow 3 writes such a path down; of a trace it is the value of a tag.
_COLUMNS = (
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("logged_models", "artifact_location"),
    ("model_versions", "source"),
    ("model_versions", "storage_location"),
    ("trace_tags", "value"),
)
# The locations of experiments that are not in the home, as they and as their runs have them: LOCATION/RUN/artifacts.
_ELSEWHERE = """
    SELECT DISTINCT experiment_id, location FROM (
        SELECT experiment_id, artifact_location AS location FROM experiments
        UNION ALL
        SELECT experiment_id, substr(artifact_uri, 1, length(artifact_uri) - length('/' || run_uuid || '/artifacts'))
        FROM runs
    ) WHERE location LIKE 'file:%' AND substr(location, 1, length(:own)) <> :own
"""
# Seconds that another process may take to write; MLflow waits as long.
_PATIENCE = 20.0


def mend(home: Home) -> None:
    """Make the paths in the home's database that lead to where the home was before lead to where it is now.

    It takes milliseconds to see that there are none. Locations that were never in a home of this database stay.

    Raises:
        StudyError: the database cannot be read, or the home has moved and the database cannot be written to.
    """
    try:
        with closing(_connect(home)) as connection:
            former = _former(connection, home)
            if former:
                _rewrite(connection, home, former)
    except sqlite3.Error as error:
        raise StudyError(f"{home.database}: must be MLflow's store. It cannot be read ({error}).") from error


def _connect(home: Home) -> sqlite3.Connection:
    # A file that is not there is not made, one that may only be read is read; transactions are begun by hand.
    return sqlite3.connect(f"{home.database.as_uri()}?mode=rw", uri=True, timeout=_PATIENCE, isolation_level=None)


def _former(connection: sqlite3.Connection, home: Home) -> set[str]:
    """Return the folders of artifacts, as URIs, of the homes that this one was before."""
    elsewhere = connection.execute(_ELSEWHERE, {"own": f"{home.artifacts.as_uri()}/"}).fetchall()
    here = {folder.name for folder in home.artifacts.glob("*")} if elsewhere else set()
    found = set()
    for experiment, location in elsewhere:
        before, _, name = location.rpartition("/")
        # The first is made with the database, in its home; of any other it must be seen that what it names lies here.
        at_home = name == "0" if experiment == 0 else unquote(name) in here
        if at_home and before.endswith(f"/{home.artifacts.name}"):
            found.add(before)
    return found


def _rewrite(connection: sqlite3.Connection, home: Home, former: set[str]) -> None:
    """Put the home in the place of the former ones: all of it or, when this process is killed, nothing."""
    # A version of a model may name its source as a path.
    places = [(before, home.artifacts.as_uri()) for before in former]
    places += [(_path(before), str(home.artifacts)) for before in former]
    try:
        with connection:
            # Where another process was faster, nothing begins with the old places any more.
            connection.execute("BEGIN IMMEDIATE")
            for old, new in places:
                for table, column in _COLUMNS:
                    connection.execute(
                        f"UPDATE {table} SET {column} = :new || substr({column}, length(:old) + 1) "
                        f"WHERE substr({column}, 1, length(:old) + 1) = :old || '/'",
                        {"old": old, "new": new},
                    )
    except sqlite3.Error as error:
        was = _path(min(former)).rpartition("/")[0]
        raise StudyError(
            f"{home.path}: the home was {was} before, and the paths in {home.database.name} must be mended. "
            f"It cannot be written to ({error}). Make it writable, or copy the home to where it is."
        ) from error


def _path(uri: str) -> str:
    return unquote(uri.removeprefix("file://"))
