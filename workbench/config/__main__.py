"""`python -m workbench.config` prints the schema of a study file."""

import json

from workbench.config.study_config import schema

if __name__ == "__main__":
    print(json.dumps(schema(), indent=1))
