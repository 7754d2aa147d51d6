"""The small project, run once for all tests of the report."""

from pathlib import Path

import pytest

from tests.report.handmade import make_project, snakemake


@pytest.fixture(scope="session")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small project after one run, with its report.html."""
    folder = make_project(tmp_path_factory.mktemp("project"))
    done = snakemake(folder, "--cores", "2")
    assert done.returncode == 0, done.stderr
    done = snakemake(folder, "--report", "report.html")
    assert done.returncode == 0, done.stderr
    return folder
