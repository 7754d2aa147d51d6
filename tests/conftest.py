"""Paths shared by the tests, and which of them share a process."""

from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.fixture
def root() -> Path:
    """The repository's root."""
    return ROOT


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep the tests of a file in one process, and those of the finished workflow, the longest.

    The latter begin first. (`xdist_group` does nothing without `-n`.)
    """
    groups = {item: item.nodeid.partition("::")[0] for item in items}
    groups |= {item: "" for item in items if "finished" in getattr(item, "fixturenames", ())}
    for item, group in groups.items():
        item.add_marker(pytest.mark.xdist_group(group or "finished"))
    items.sort(key=lambda item: groups[item] != "")
