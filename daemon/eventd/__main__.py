"""`python -m eventd` is the `eventd` command."""

import sys

from eventd.entry import main

if __name__ == "__main__":
    sys.exit(main())
