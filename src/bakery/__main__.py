"""`python -m bakery` is `bakery`."""

import sys

from bakery.cli import main

if __name__ == "__main__":
    sys.exit(main())
