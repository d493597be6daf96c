"""The command `python -m experiments`, which is the command `cnn3`."""

import sys

from cnn3.__main__ import main

if __name__ == "__main__":
    sys.exit(main())
