"""Write what Prefect 1.4.1 does with each flow file: ``prefect1-python tests/porting/record.py [NAME ...]``.

The Python needs ``prefect==1.4.1`` with the versions of its dependencies that it was written for::

    pip install "prefect==1.4.1" "pendulum<3" "marshmallow<3.20" "marshmallow-oneofschema<3.1" \
        "click<8.1" "dask==2023.3.2" "distributed==2023.3.2" "cloudpickle<3" "setuptools<70"

With ``--print`` the records of real Prefect 1 go to standard output as one JSON object, and no file is written.
"""

from __future__ import annotations

import importlib
import json
import logging
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
# Nothing of the person who records: no configuration, no home. Read by Prefect 1 when it is imported.
os.environ["PREFECT__USER_CONFIG_PATH"] = os.devnull
os.environ["PREFECT__HOME_DIR"] = tempfile.mkdtemp(prefix="prefect1-")
os.environ["PREFECT__LOGGING__LEVEL"] = "INFO"


def main(arguments: list[str]) -> int:
    """Record the files named, or all."""
    prefect: Any = importlib.import_module("prefect")
    observe: Any = importlib.import_module("observe").observe

    if not prefect.__version__.startswith("1.4.1"):
        print(f"this is Prefect {prefect.__version__}; the records are those of 1.4.1", file=sys.stderr)
        return 2
    printed = "--print" in arguments
    names = [name for name in arguments if not name.startswith("--")]
    records = {}
    for path in sorted((HERE / "flows").glob("*.py")):
        if names and path.stem not in names:
            continue
        prefect.context.pop("caches", None)
        for handler in logging.getLogger("prefect").handlers:
            handler.setLevel(logging.CRITICAL + 1)
        with tempfile.TemporaryDirectory() as directory:
            os.chdir(directory)
            records[path.stem] = observe(path, "prefect")
            os.chdir(HERE)
    if printed:
        print(json.dumps(records))
        return 0
    for name, record in records.items():
        text = json.dumps(record, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
        (HERE / "expected" / f"{name}.json").write_text(text, "utf-8")
    print(f"{len(records)} recorded")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
