"""Run the command line: ``python -m jupyter_flows``."""

from jupyter_flows.cli import main

if __name__ == "__main__":
    main()
