"""``python -m massgen_compat``: the command line, as ``massgen-compat`` is."""

import sys

from massgen_compat.cli import main

if __name__ == "__main__":
    sys.exit(main())
