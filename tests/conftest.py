"""What the tests of several rooms start from."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from workbench.home import Home


@pytest.fixture(scope="session")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """MLflow's own empty database; to make one takes it two seconds, to copy one nothing."""
    from workbench.tracking import mlflow_store

    home = Home(tmp_path_factory.mktemp("database"))
    mlflow_store.client(home)
    return home.database


@pytest.fixture
def home(tmp_path: Path, database: Path) -> Path:
    """A home that holds MLflow's empty database."""
    folder = tmp_path / "mlruns"
    folder.mkdir()
    shutil.copy(database, folder / database.name)
    return folder
