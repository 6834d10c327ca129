"""`python -m export`: see `export.commands`."""

import sys

from export.commands import main

if __name__ == "__main__":
    sys.exit(main())
