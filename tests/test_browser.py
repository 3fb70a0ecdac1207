"""The pages of MLflow, Optuna's dashboard, TensorBoard and the report in a headless Chromium.

`make pictures` sets WORKBENCH_PICTURES to a folder, in which these tests save the screenshots of the README.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

pytestmark = pytest.mark.slow

STUDY = """
name: breast_cancer
data: {train: "sklearn:breast_cancer", target: target}
metric: log_loss
also: [accuracy, roc_auc]
folds: {folds: 3}
families: [linear, xgboost, random_forest, mlp]
search: {workers: 2}
"""
TRIALS = 10
PATIENCE = 90_000
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
# No name but 127.0.0.1 resolves, which also stops requests that Chromium makes on its own.
LOCAL_ONLY = "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1"
# Errors that MLflow's own pages log: they ask for the current user, which a server without accounts does not have.
KNOWN_ERRORS = ("/ajax-api/2.0/mlflow/users/current", "ResizeObserver loop")
# MLflow's assistant opens on the first visit and covers a third of the page.
ASSISTANT = """
if (location.protocol.startsWith("http")) {
    localStorage.setItem("mlflow.assistant.fab.autoOpenedOnFirstLoad_v1", "true");
    localStorage.setItem("mlflow.assistant.panelOpen_v1", "false");
}
"""
# Returns the columns of the run table from left to right, and the texts of each row by column.
TABLE = """() => {
    const heads = [...document.querySelectorAll(".ag-header-cell[col-id]")];
    heads.sort((a, b) => a.getBoundingClientRect().x - b.getBoundingClientRect().x);
    const rows = {};
    for (const cell of document.querySelectorAll(".ag-row [col-id]")) {
        const at = cell.closest("[row-index]").getAttribute("row-index");
        (rows[at] ??= {})[cell.getAttribute("col-id")] = cell.innerText.trim().split("\\n").pop();
    }
    return {heads: heads.map(e => e.getAttribute("col-id")), rows};
}"""


def missing_browser() -> str:
    """Return why no browser can be driven; empty if one can."""
    if not any(map(shutil.which, BROWSERS)):
        return "there is no Chromium here: install it (Debian: apt-get install chromium)"
    try:
        import playwright  # noqa: F401
    except ImportError:
        return "Playwright for Python is not installed: pip install playwright"
    return ""


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """Yield a headless Chromium that can reach this machine only."""
    if reason := missing_browser():
        pytest.skip(reason)
    from playwright.sync_api import sync_playwright

    path = next(filter(None, map(shutil.which, BROWSERS)))
    # Chromium has no sandbox for root, the user of containers.
    sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=path, args=[LOCAL_ONLY, *sandbox])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def study(chromium: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a small study after `run`: four families and an ensemble."""
    folder = tmp_path_factory.mktemp("browser")
    (folder / "breast_cancer.yaml").write_text(STUDY)
    run = [sys.executable, "-m", "workbench", "run", "breast_cancer.yaml", "--trials", str(TRIALS), "--json"]
    ended = subprocess.run(run, cwd=folder, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    (folder / "summary.json").write_text(ended.stdout)
    return folder


@pytest.fixture(scope="module")
def links(study: Path) -> Iterator[dict[str, str]]:
    """Yield the links that `workbench ui` prints, by server."""
    extras = {"--dashboard": "optuna_dashboard", "--tensorboard": "tensorboard"}
    options = [option for option, library in extras.items() if importable(library)]
    command = [sys.executable, "-m", "workbench", "ui", *options]
    with subprocess.Popen(command, cwd=study, stdout=subprocess.PIPE, text=True) as process:
        found = {}
        for line in process.stdout:
            if line.startswith("Ctrl-C"):
                break
            server, _, link = line.partition(" shows ")
            found[server] = link.rpartition(" at ")[2].strip()
        yield found
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0


def importable(library: str) -> bool:
    import importlib.util

    return importlib.util.find_spec(library) is not None


@pytest.fixture
def page(chromium: Any) -> Iterator[Any]:
    """Yield an empty page; at the end, all its requests must be local, and no error may be logged."""
    context = chromium.new_context(viewport={"width": 1280, "height": 860})
    context.set_default_timeout(PATIENCE)
    context.add_init_script(ASSISTANT)
    requests, errors = [], []
    context.on("request", lambda request: requests.append(request.url))
    context.on("weberror", lambda error: errors.append(str(error.error)))
    context.on(
        "console",
        lambda message: (
            errors.append(f"{message.text} ({message.location['url']})") if message.type == "error" else None
        ),
    )
    yield context.new_page()
    context.close()
    assert requests, "no page was opened"
    assert {url for url in requests if not local(url)} == set()
    assert [error for error in errors if not any(known in error for known in KNOWN_ERRORS)] == []


def local(url: str) -> bool:
    parts = urlsplit(url)
    return parts.scheme in ("data", "blob", "file", "about") or parts.hostname == "127.0.0.1"


def save_screenshot(page: Any, name: str, folder: Path) -> None:
    """Save a screenshot of a page in WORKBENCH_PICTURES, else in the test's folder."""
    from PIL import Image

    target = Path(os.environ.get("WORKBENCH_PICTURES") or folder)
    target.mkdir(parents=True, exist_ok=True)
    file = target / f"{name}.png"
    page.screenshot(path=file)
    # A palette reduces the file to a third without a visible difference.
    Image.open(file).convert("RGB").quantize(192).save(file, optimize=True)


def read_table(page: Any, rows: int) -> dict[str, Any]:
    """Return the run table once it has all its rows."""
    page.wait_for_function("n => document.querySelectorAll('.ag-center-cols-container .ag-row').length >= n", arg=rows)
    page.wait_for_function("() => document.querySelectorAll(\".ag-row [col-id='metrics.`log_loss`']\").length > 0")
    table: dict[str, Any] = page.evaluate(TABLE)
    return table


def runs(study: Path) -> list[Any]:
    """Return the runs of the study as MLflow's client sees them."""
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=f"sqlite:///{study / 'mlruns' / 'mlflow.db'}")
    found: list[Any] = client.search_runs([client.get_experiment_by_name("breast_cancer").experiment_id])
    return found


def run_address(links: dict[str, str], run: Any, tab: str = "") -> str:
    address = links["MLflow"].partition("#")[0]
    query = "?workflowType=machine_learning"
    return f"{address}#/experiments/{run.info.experiment_id}/runs/{run.info.run_id}{tab}{query}"


def test_the_run_table_shows_every_run_best_first_with_the_columns_of_the_study(page, links, study, tmp_path):
    every = runs(study)
    page.set_viewport_size({"width": 1280, "height": 900})
    page.goto(links["MLflow"])
    page.get_by_label("Hide banner").click()
    shown = read_table(page, len(every))
    save_screenshot(page, "run_table", tmp_path)
    assert "Model training" in page.inner_text("body")
    assert page.get_by_text(f"{len(every)} matching runs", exact=False).count() == 1
    names = ["attributes.`Run Name`", "runDateAndNestInfo"]
    metrics = ("log_loss", "std", "accuracy", "roc_auc", "parameters", "honest_score")
    scores = [f"metrics.`{name}`" for name in metrics]
    assert [head for head in shown["heads"] if "." in head or head in names][:8] == [*names, *scores]
    rows = [shown["rows"][str(place)] for place in range(len(every))]
    assert sorted(row[names[0]] for row in rows) == sorted(run.info.run_name for run in every)
    texts = [row[scores[0]] for row in rows]
    numbers = [float(text) for text in texts if text != "-"]
    assert numbers == sorted(numbers)
    assert texts[len(numbers) :] == ["-"] * (len(rows) - len(numbers))
    best = min(run.data.metrics["log_loss"] for run in every if "log_loss" in run.data.metrics)
    assert numbers[0] == pytest.approx(best)
    trials = [run for run in every if run.data.tags["workbench.kind"] == "trial"]
    assert len(trials) == TRIALS == sum(json.loads((study / "summary.json").read_text())["trials"].values())


def test_a_narrow_window_shows_the_names_and_scores_of_runs(page, links, study, tmp_path):
    page.set_viewport_size({"width": 800, "height": 700})
    page.goto(links["MLflow"])
    read_table(page, 5)
    save_screenshot(page, "run_table_narrow", tmp_path)
    (ensemble,) = (run for run in runs(study) if run.data.tags["workbench.kind"] == "ensemble")
    link = page.get_by_text(ensemble.info.run_name, exact=True)
    box = link.bounding_box()
    assert box["x"] + box["width"] < 800
    assert f"{ensemble.data.metrics['log_loss']:.5g}" in link.inner_text()
    assert link.evaluate("e => e.scrollWidth <= e.clientWidth || getComputedStyle(e).display === 'inline'")


def test_a_run_opens_from_the_table_and_draws_its_curves(page, links, study, tmp_path):
    page.goto(links["MLflow"])
    read_table(page, 5)
    (run,) = (run for run in runs(study) if run.data.tags.get("workbench.trial") == "mlp/0")
    page.get_by_text(run.info.run_name, exact=True).click()
    page.get_by_text("About this run").wait_for()
    assert run.info.run_id in page.inner_text("body")
    assert "workbench.family" in page.inner_text("body")
    save_screenshot(page, "run", tmp_path)
    page.get_by_role("tab", name="Model metrics").click()
    page.get_by_placeholder("Search metric charts").fill("loss/")
    for heading in ("loss", "val_loss"):
        page.get_by_text(heading, exact=True).first.wait_for()
    page.wait_for_function("() => document.querySelectorAll('.js-plotly-plot path.js-line').length >= 3")
    lines = page.eval_on_selector_all(".js-plotly-plot path.js-line", "all => all.map(e => e.getAttribute('d').length)")
    assert max(lines) > 100
    save_screenshot(page, "run_charts", tmp_path)


def test_charts_overlay_the_runs(page, links, study, tmp_path):
    page.goto(f"{links['MLflow']}&compareRunsMode=CHART")
    page.get_by_placeholder("Search metric charts").fill("val_loss/fold_0")
    page.wait_for_function("() => document.querySelectorAll('.js-plotly-plot path.js-line').length >= 2")
    legend = page.inner_text("body")
    logged = [run for run in runs(study) if "val_loss/fold_0" in run.data.metrics]
    assert len(logged) > 1
    assert all(f"{run.info.run_name} (val_loss/fold_0)" in legend for run in logged)
    save_screenshot(page, "charts", tmp_path)


def test_the_artifact_view_shows_the_ensembles_document(page, links, study, tmp_path):
    (run,) = (run for run in runs(study) if run.data.tags["workbench.kind"] == "ensemble")
    page.goto(run_address(links, run, "/artifacts/ensemble.json"))
    page.get_by_text('"nelder_mead"').first.wait_for()
    body = page.inner_text("body")
    assert "oof.parquet" in body
    assert "Select a file to preview" not in body
    save_screenshot(page, "artifact", tmp_path)


def figures(study: Path) -> list[tuple[Any, Path]]:
    """Return the logged figures with their runs, those of the ensemble first."""
    kinds = ("ensemble", "study")
    own = [run for kind in kinds for run in runs(study) if run.data.tags["workbench.kind"] == kind]
    folders = [(run, study / "mlruns/artifacts/breast_cancer" / run.info.run_id / "artifacts/figures") for run in own]
    return [(run, file) for run, folder in folders for file in sorted(folder.glob("*.png"))]


def test_the_artifact_view_shows_a_figure(page, links, study, tmp_path):
    logged = figures(study)
    assert {run.data.tags["workbench.kind"] for run, _ in logged} == {"ensemble", "study"}
    run, file = next((run, file) for run, file in logged if file.stem == "weights")
    page.set_viewport_size({"width": 1280, "height": 900})
    page.goto(run_address(links, run, f"/artifacts/figures/{file.name}"))
    image = "img[src*='get-artifact'], img[src^='blob:']"
    page.wait_for_function(
        "s => [...document.querySelectorAll(s)].some(e => e.complete && e.naturalWidth > 0)", arg=image
    )
    assert max(page.eval_on_selector_all(image, "all => all.map(e => e.naturalWidth)")) > 300
    # MLflow writes the path of the file above it, which does not belong in the README.
    page.get_by_text(re.compile(r"^Path: ")).last.evaluate("e => { e.style.visibility = 'hidden' }")
    save_screenshot(page, "figure", tmp_path)


def test_the_report_opens_without_a_server(page, study, tmp_path):
    written = subprocess.run(
        [sys.executable, "-m", "workbench", "report", "breast_cancer.yaml", "--json"],
        cwd=study, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert written.returncode == 0, written.stderr
    page.goto(Path(json.loads(written.stdout)["path"]).as_uri())
    assert "breast_cancer" in page.inner_text("h1")
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    loaded = page.eval_on_selector_all("img", "all => all.map(e => e.complete && e.naturalWidth > 0)")
    assert all(loaded)
    assert loaded or page.locator("svg").count() > 0
    save_screenshot(page, "report", tmp_path)


def test_optunas_dashboard_shows_a_family(page, links, study, tmp_path):
    if "Optuna's dashboard" not in links:
        pytest.skip("optuna-dashboard, the extra 'dashboard', is not installed")
    page.goto(links["Optuna's dashboard"])
    page.get_by_text("breast_cancer/linear").first.click()
    page.get_by_role("heading", name="History").wait_for()
    page.wait_for_selector(".js-plotly-plot .scatterlayer", state="attached")
    save_screenshot(page, "dashboard", tmp_path)


def test_tensorboard_shows_the_curves(page, links, study, tmp_path):
    if "TensorBoard" not in links:
        pytest.skip("tensorboard, the extra of its name, is not installed")
    page.goto(links["TensorBoard"])
    page.get_by_text("val_loss").first.wait_for()
    page.get_by_text("breast_cancer/mlp #0").first.wait_for()
    (run,) = (run for run in runs(study) if run.data.tags.get("workbench.trial") == "mlp/0")
    page.get_by_text(f"{run.data.metrics['val_loss/fold_0']:.4f}").first.wait_for()
    assert "learning_rate" not in page.inner_text("body")
    save_screenshot(page, "tensorboard", tmp_path)


def test_without_a_browser_the_tests_are_skipped_with_a_reason(tmp_path):
    (tmp_path / "python").symlink_to(sys.executable)
    ended = subprocess.run(
        [sys.executable, "-m", "pytest", "-rs", "-p", "no:xdist", "-p", "no:cacheprovider", __file__, "-k", "figure"],
        env={**os.environ, "PATH": str(tmp_path)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stdout
    assert re.search(r"SKIPPED \[1\] .*there is no Chromium here: install it \(Debian: apt-get", ended.stdout)
