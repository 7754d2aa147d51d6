"""Makes the packages importable in every job, also in a conda environment or on another node."""

import os


def make_importable(root: str) -> None:
    """Put `root` first in PYTHONPATH, which jobs inherit; once, however often it is called."""
    others = [part for part in os.environ.get("PYTHONPATH", "").split(os.pathsep) if part]
    paths = [root, *(part for part in others if part != root)]
    os.environ["PYTHONPATH"] = os.pathsep.join(paths)
