"""Update the absolute paths of artifacts in MLflow's database after a home was moved or copied."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from urllib.parse import unquote

from workbench.errors import StudyError
from workbench.home import Home

# The columns in which MLflow 3 stores such paths; for a trace it is the value of a tag.
_COLUMNS = (
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("logged_models", "artifact_location"),
    ("model_versions", "source"),
    ("model_versions", "storage_location"),
    ("trace_tags", "value"),
)
# Locations outside of the home, from experiments and from runs, whose URIs are LOCATION/RUN/artifacts.
_OUTSIDE = """
    SELECT DISTINCT experiment_id, location FROM (
        SELECT experiment_id, artifact_location AS location FROM experiments
        UNION ALL
        SELECT experiment_id, substr(artifact_uri, 1, length(artifact_uri) - length('/' || run_uuid || '/artifacts'))
        FROM runs
    ) WHERE location LIKE 'file:%' AND substr(location, 1, length(:own)) <> :own
"""
# Seconds to wait while another process writes; MLflow waits as long.
_TIMEOUT = 20.0


def update_paths(home: Home) -> None:
    """Change the paths in the home's database that point to the home's earlier places to its present one.

    The check takes milliseconds if there are none. Locations that were never in a home of this database stay.

    Raises:
        StudyError: the database cannot be read, or the home has moved and the database cannot be written to.
    """
    try:
        with closing(_connect(home)) as connection:
            former = _former_locations(connection, home)
            if former:
                _rewrite(connection, home, former)
    except sqlite3.Error as error:
        raise StudyError(f"{home.database}: must be MLflow's store. It cannot be read ({error}).") from error


def _connect(home: Home) -> sqlite3.Connection:
    # Mode rw creates no missing file and reads a read-only one. Transactions are begun explicitly.
    return sqlite3.connect(f"{home.database.as_uri()}?mode=rw", uri=True, timeout=_TIMEOUT, isolation_level=None)


def _former_locations(connection: sqlite3.Connection, home: Home) -> set[str]:
    """Return the folders of artifacts, as URIs, at the home's earlier places."""
    outside = connection.execute(_OUTSIDE, {"own": f"{home.artifacts.as_uri()}/"}).fetchall()
    here = {folder.name for folder in home.artifacts.glob("*")} if outside else set()
    former = set()
    for experiment, location in outside:
        folder, _, name = location.rpartition("/")
        # Experiment 0 is created with the database, in its home. Any other was in a home if its folder is in this one.
        was_in_home = name == "0" if experiment == 0 else unquote(name) in here
        if was_in_home and folder.endswith(f"/{home.artifacts.name}"):
            former.add(folder)
    return former


def _rewrite(connection: sqlite3.Connection, home: Home, former: set[str]) -> None:
    """Replace the former locations by the present one, in one transaction."""
    # A model version may store its source as a path.
    pairs = [(before, home.artifacts.as_uri()) for before in former]
    pairs += [(_uri_to_path(before), str(home.artifacts)) for before in former]
    try:
        with connection:
            # If another process was faster, no path begins with a former location any more.
            connection.execute("BEGIN IMMEDIATE")
            for old, new in pairs:
                for table, column in _COLUMNS:
                    connection.execute(
                        f"UPDATE {table} SET {column} = :new || substr({column}, length(:old) + 1) "
                        f"WHERE substr({column}, 1, length(:old) + 1) = :old || '/'",
                        {"old": old, "new": new},
                    )
    except sqlite3.Error as error:
        was = _uri_to_path(min(former)).rpartition("/")[0]
        raise StudyError(
            f"{home.path}: the home was {was} before, and the paths in {home.database.name} must be mended. "
            f"It cannot be written to ({error}). Make it writable, or copy the home to where it is."
        ) from error


def _uri_to_path(uri: str) -> str:
    return unquote(uri.removeprefix("file://"))
