"""`python -m stackbert`: see stackbert.cli."""

import sys

from stackbert.cli import main

sys.exit(main())
