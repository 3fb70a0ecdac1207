"""`python -m workbench.config` prints the schema of a study file."""

from __future__ import annotations

import json

from workbench.config.study_config import schema

if __name__ == "__main__":
    print(json.dumps(schema(), indent=1))
