"""The view of a study's runs that MLflow's page opens with: best first, the columns that a study is about.

MLflow keeps a shared view as a tag of the experiment, and a link names it; how that looks was read off MLflow 3.17.
"""

import base64
import json
import zlib
from collections.abc import Sequence

KEY = "workbench"
TAG = f"mlflow.sharedViewState.{KEY}"

# Pixels: a run's name whole, since it tells the story in a narrow window, and a score to five digits and more.
_WIDTHS = {"attributes.`Run Name`": 330, "runDateAndNestInfo": 130, "duration": 90}
_NARROW = 100


def state(metric: str, also: Sequence[str], *, ascending: bool) -> str:
    """Return the tag's value for a study that is scored by `metric`, and by `also` beside it."""
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
    }
    return "deflate;" + base64.b64encode(zlib.compress(json.dumps(chosen).encode())).decode()
