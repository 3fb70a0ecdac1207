"""The view of a study's runs that MLflow's page opens with: best first, the columns that a study is about.

MLflow keeps a shared view as a tag of the experiment, and a link names it; how that looks was read off MLflow 3.17.
"""

import base64
import json
import zlib
from collections.abc import Sequence

KEY = "workbench"
TAG = f"mlflow.sharedViewState.{KEY}"


def state(metric: str, also: Sequence[str], *, ascending: bool) -> str:
    """Return the tag's value for a study that is scored by `metric`, and by `also` beside it."""
    columns = [f"metrics.`{name}`" for name in (metric, "std", *also)]
    chosen = {
        "orderByKey": f"metrics.`{metric}`",
        "orderByAsc": ascending,
        "selectedColumns": [*columns, "tags.`workbench.family`", "tags.`workbench.state`"],
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
        "compareRunCharts": [],
        "compareRunSections": [],
    }
    return "deflate;" + base64.b64encode(zlib.compress(json.dumps(chosen).encode())).decode()
