"""The view of a study's runs that MLflow's page opens with: best first, with the study's columns and charts.

MLflow draws a chart of every metric by itself; the charts of this view come first. MLflow stores a shared view as a tag
of the experiment, and a link names it; the format is that of MLflow 3.17.
"""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Sequence
from typing import Any

KEY = "workbench"
TAG = f"mlflow.sharedViewState.{KEY}"

# Without this parameter MLflow shows its GenAI sidebar.
_WORKFLOW = "workflowType=machine_learning"

# Widths in pixels: the whole name of a run, which matters most in a narrow window, and a score of five digits or more.
_WIDTHS = {"attributes.`Run Name`": 330, "runDateAndNestInfo": 130, "duration": 90}
_NARROW = 100
_SECTION = "workbench-study"
# The number of runs that a chart shows at once.
_RUNS = 100

ALL_STUDIES = f"#/experiments?{_WORKFLOW}"
"""The page of all studies."""


def study_page(experiment: object) -> str:
    """Return the page of a study's runs, in the study's view."""
    return f"#/experiments/{experiment}/runs?{_WORKFLOW}&viewStateShareKey={KEY}"


def run_page(experiment: object, run_id: str) -> str:
    """Return the page of a run."""
    return f"#/experiments/{experiment}/runs/{run_id}?{_WORKFLOW}"


def view_tag(metric: str, also: Sequence[str], *, ascending: bool, folds: int) -> str:
    """Return the value of the view's tag.

    Args:
        metric: the name under which scores are logged.
        also: the names of the further metrics.
        ascending: whether small scores are good.
        folds: the number of folds.
    """
    # Ensembles have a cross-fitted score as well, beside the score on the folds that their weights were fitted on.
    metrics = [f"metrics.`{name}`" for name in (metric, "std", *also, "honest_score")]
    tags = [f"tags.`workbench.{name}`" for name in ("family", "state")]
    name, *rest = _WIDTHS
    order = [name, *metrics, *tags, *rest]
    view = {
        "orderByKey": metrics[0],
        "orderByAsc": ascending,
        "selectedColumns": [*metrics, *tags],
        "columnOrder": order,
        "columnWidths": {column: _WIDTHS.get(column, _NARROW) for column in order},
        "searchFilter": "",
        "startTime": "ALL",
        "lifecycleFilter": "Active",
        "datasetsFilter": [],
        "modelVersionFilter": "All Runs",
        "runsExpanded": {},
        "runsPinned": [],
        "runsHidden": [],
        "runsVisibilityMap": {},
        "groupsExpanded": {},
        # Without this, MLflow sorts the sections by name.
        "isAccordionReordered": True,
        "compareRunCharts": _charts(metric, folds),
        "compareRunSections": [{"uuid": _SECTION, "name": "Study", "display": True, "isReordered": False}],
    }
    return "deflate;" + base64.b64encode(zlib.compress(json.dumps(view).encode())).decode()


def _charts(metric: str, folds: int) -> list[dict[str, Any]]:
    """Return the charts that MLflow does not draw by itself: trials and folds over one another, seconds and score."""
    each = [f"val_loss/fold_{fold}" for fold in range(folds)]
    seconds, score = ({"key": key, "type": "METRIC"} for key in ("seconds", metric))
    charts: list[dict[str, Any]] = [
        {"type": "BAR", "displayName": metric, "metricKey": metric},
        {"type": "SCATTER", "displayName": f"{metric} and seconds", "xaxis": seconds, "yaxis": score},
        _line("val_loss, the mean of the folds", ["val_loss/mean"]),
        _line("val_loss of every fold", each),
        _line("score of every fold", ["fold_score"]),
    ]
    options = {"runsCountToCompare": _RUNS, "metricSectionId": _SECTION, "deleted": False, "isGenerated": False}
    return [{"uuid": f"workbench-{index}", **options, **chart} for index, chart in enumerate(charts)]


def _line(title: str, keys: Sequence[str]) -> dict[str, Any]:
    return {
        "type": "LINE",
        "displayName": title,
        "metricKey": keys[0],
        "selectedMetricKeys": list(keys),
        "lineSmoothness": 0,
        "xAxisKey": "step",
        "selectedXAxisMetricKey": "",
        "xAxisScaleType": "linear",
        "scaleType": "linear",
        "range": {},
        "yAxisKey": "metric",
        "yAxisExpressions": [],
        "ignoreOutliers": False,
        "useGlobalXaxisKey": False,
        "useGlobalLineSmoothing": True,
    }
