"""The view of a study's runs that MLflow's page opens with: best first, the columns that a study is about, its charts.

MLflow draws a chart of every metric by itself; those prepared here come first. It keeps a shared view as a tag of the
experiment, and a link names it; how that looks was read off MLflow 3.17.
"""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Sequence
from typing import Any

KEY = "workbench"
TAG = f"mlflow.sharedViewState.{KEY}"

# Without it MLflow shows the menu of another trade.
_TRADE = "workflowType=machine_learning"

# Pixels: a run's name whole, since it tells the story in a narrow window, and a score to five digits and more.
_WIDTHS = {"attributes.`Run Name`": 330, "runDateAndNestInfo": 130, "duration": 90}
_NARROW = 100
_SECTION = "workbench-study"
# How many runs a chart shows at once.
_RUNS = 100


ALL = f"#/experiments?{_TRADE}"
"""The page of all studies."""


def of_study(experiment: object) -> str:
    """Return the page of a study's runs, in the view prepared for it."""
    return f"#/experiments/{experiment}/runs?{_TRADE}&viewStateShareKey={KEY}"


def of_run(experiment: object, run_id: str) -> str:
    """Return the page of a run."""
    return f"#/experiments/{experiment}/runs/{run_id}?{_TRADE}"


def state(metric: str, also: Sequence[str], *, ascending: bool, folds: int) -> str:
    """Return the tag's value for a study of so many folds that is scored by `metric`, and by `also` beside it."""
    # Only ensembles have an honest score; beside it, the score that their weights were fitted to deceives nobody.
    metrics = [f"metrics.`{name}`" for name in (metric, "std", *also, "honest_score")]
    tags = [f"tags.`workbench.{name}`" for name in ("family", "state")]
    name, *rest = _WIDTHS
    order = [name, *metrics, *tags, *rest]
    chosen = {
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
        # Without this, sections come in the order of their names.
        "isAccordionReordered": True,
        "compareRunCharts": _charts(metric, folds),
        "compareRunSections": [{"uuid": _SECTION, "name": "Study", "display": True, "isReordered": False}],
    }
    return "deflate;" + base64.b64encode(zlib.compress(json.dumps(chosen).encode())).decode()


def _charts(metric: str, folds: int) -> list[dict[str, Any]]:
    """Return what MLflow would not draw by itself: trials over one another, folds over one another, time and score."""
    each = [f"val_loss/fold_{fold}" for fold in range(folds)]
    seconds, score = ({"key": key, "type": "METRIC"} for key in ("seconds", metric))
    charts: list[dict[str, Any]] = [
        {"type": "BAR", "displayName": metric, "metricKey": metric},
        {"type": "SCATTER", "displayName": f"{metric} and seconds", "xaxis": seconds, "yaxis": score},
        _line("val_loss, the mean of the folds", ["val_loss/mean"]),
        _line("val_loss of every fold", each),
        _line("score of every fold", ["fold_score"]),
    ]
    known = {"runsCountToCompare": _RUNS, "metricSectionId": _SECTION, "deleted": False, "isGenerated": False}
    return [{"uuid": f"workbench-{place}", **known, **chart} for place, chart in enumerate(charts)]


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
