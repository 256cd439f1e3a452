"""Run every benchmark, one after the other, each beside its peer in the same run; ``make bench``.

Figures are medians on this machine; what counts are the ratios. A name as argument runs only that one.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent


def main(names: list[str]) -> int:
    scripts = sorted(
        path for path in HERE.glob("p[0-9][0-9]_*.py") if not names or path.stem.split("_")[0] in names
    )
    if not scripts:
        print(f"no benchmark of that name; there are {', '.join(p.stem for p in sorted(HERE.glob('p*.py')))}")
        return 2
    failed = 0
    for script in scripts:
        print(f"\n== {script.stem}", flush=True)
        failed += subprocess.run([sys.executable, str(script)], check=False).returncode != 0
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
