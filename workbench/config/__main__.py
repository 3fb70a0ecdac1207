"""`python -m workbench.config` prints the JSON Schema of a study file."""

from __future__ import annotations

import json

from workbench.config.study_config import json_schema

if __name__ == "__main__":
    print(json.dumps(json_schema(), indent=1))
