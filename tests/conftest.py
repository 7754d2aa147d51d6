"""Paths and small models shared by the tests."""

from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.fixture
def root() -> Path:
    """The repository's root."""
    return ROOT
