"""The provenance of a study, without secrets."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

import workbench
from workbench.tracking import DataOrigin, provenance

needs_git = pytest.mark.skipif(shutil.which("git") is None, reason="there is no git")
SECRET = "s3cret-0f-mine"


def git(folder: Path, *words: str) -> str:
    own = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    names = ["-c", "user.name=me", "-c", "user.email=me@example.org", "-c", "init.defaultBranch=trunk"]
    done = subprocess.run(["git", *names, *words], cwd=folder, env=own, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def write_study(folder: Path, text: str = "name: s\n") -> Path:
    file = folder / "studies" / "s.yaml"
    file.parent.mkdir(parents=True)
    file.write_text(text)
    return file


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository with a study file that is committed."""
    write_study(tmp_path)
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", "-A")
    git(tmp_path, "commit", "-qm", "first")
    return tmp_path


def tags(repository: Path) -> dict[str, str]:
    found = provenance.read_provenance(repository / "studies" / "s.yaml", ()).tags
    return {name.removeprefix("mlflow.source."): value for name, value in found.items()}


@needs_git
def test_a_study_in_a_repository_has_commit_branch_and_relative_path(repository: Path) -> None:
    found = tags(repository)
    assert found["git.commit"] == git(repository, "rev-parse", "HEAD")
    assert (found["git.branch"], found["git.dirty"]) == ("trunk", "false")
    assert (found["name"], found["type"]) == ("studies/s.yaml", "LOCAL")
    assert "git.repoURL" not in found


@needs_git
def test_uncommitted_changes_are_tagged(repository: Path) -> None:
    (repository / "mlruns").mkdir()
    (repository / "mlruns" / "untracked").write_text("")
    assert tags(repository)["git.dirty"] == "false"
    (repository / "studies" / "s.yaml").write_text("name: t\n")
    assert tags(repository)["git.dirty"] == "true"


@needs_git
def test_a_detached_head_has_no_branch(repository: Path) -> None:
    git(repository, "checkout", "-q", "--detach")
    found = tags(repository)
    assert found["git.commit"] == git(repository, "rev-parse", "HEAD")
    assert "git.branch" not in found


@needs_git
@pytest.mark.parametrize(
    ("remote", "logged"),
    [
        (f"https://me:{SECRET}@example.org/me/x.git", "https://example.org/me/x.git"),
        (f"https://{SECRET}@example.org:8443/me/x.git?token={SECRET}", "https://example.org:8443/me/x.git"),
        ("git@example.org:me/x.git", "git@example.org:me/x.git"),
        ("/srv/x.git", "/srv/x.git"),
    ],
)
def test_a_remote_is_tagged_without_credentials(repository: Path, remote: str, logged: str) -> None:
    git(repository, "remote", "add", "origin", remote)
    assert tags(repository)["git.repoURL"] == logged


@needs_git
def test_gits_variables_are_ignored(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = git(repository, "rev-parse", "HEAD")
    monkeypatch.setenv("GIT_DIR", str(repository / "nowhere"))
    assert tags(repository)["git.commit"] == expected


@needs_git
def test_a_repositorys_settings_start_no_program(repository: Path) -> None:
    script = repository / "monitor"
    script.write_text(f"#!/bin/sh\ntouch {repository}/started\n")
    script.chmod(0o755)
    git(repository, "config", "core.fsmonitor", str(script))
    assert tags(repository)["git.dirty"] == "false"
    assert not (repository / "started").exists()


def test_without_a_repository_the_file_keeps_its_given_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_study(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", "")
    monkeypatch.setattr(provenance, "_git", lambda *words: None)
    found = provenance.read_provenance(Path("studies/s.yaml"), ()).tags
    assert found["mlflow.source.name"] == "studies/s.yaml"
    assert not [name for name in found if "git" in name]


@needs_git
def test_a_repository_without_a_commit_has_no_git_tags(tmp_path: Path) -> None:
    write_study(tmp_path)
    git(tmp_path, "init", "-q")
    assert not [name for name in tags(tmp_path) if name.startswith("git")]


def test_a_machine_without_git_has_no_git_tags(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_study(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert not [name for name in tags(tmp_path) if name.startswith("git")]


@pytest.mark.skipif(sys.platform == "win32", reason="writes a script of the shell")
def test_git_has_a_timeout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_study(tmp_path)
    (tmp_path / "git").write_text("#!/bin/sh\nexec sleep 60\n")
    (tmp_path / "git").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    began = time.monotonic()
    assert not [name for name in tags(tmp_path) if name.startswith("git")]
    assert time.monotonic() - began < 20


def test_the_study_file_is_kept_with_masked_secrets(tmp_path: Path) -> None:
    text = f"name: s  # password: {SECRET}\ndata: {{train: 'https://me:{SECRET}@example.org/train.csv'}}\n\n# é\n"
    found = provenance.read_provenance(write_study(tmp_path, text), (DataOrigin("t.csv", "0", "training", 3),))
    assert SECRET not in found.text
    assert found.text.replace("***", SECRET) == text
    assert [each.source for each in found.data] == ["t.csv"]


def test_versions_list_the_installed_libraries() -> None:
    found = provenance.versions()
    assert found["workbench"] == workbench.__version__
    assert {"python", "numpy", "optuna", "mlflow", "scikit-learn"} <= found.keys()
    assert found["python"].startswith(f"{sys.version_info.major}.{sys.version_info.minor}.")
