"""Habits that every rule keeps."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
RULES = [
    pytest.param(match[1], match[0], id=match[1])
    for path in sorted((ROOT / "rules").glob("*.smk"))
    for match in re.finditer(
        r"^rule (\w+):\n(?:    .*\n|\n(?=    |\n))*", path.read_text(), re.MULTILINE
    )
]
TARGETS = {"data", "pretrain", "glue", "compare"}


def directives(block: str) -> set[str]:
    return set(re.findall(r"^    (\w+):", block, re.MULTILINE))


def test_every_rule_is_found() -> None:
    names = {rule.values[0] for rule in RULES}
    assert names >= TARGETS | {"download_dump", "learn_bpe", "train_stage", "stack"}


@pytest.mark.parametrize(("name", "block"), RULES)
def test_rule_says_what_it_needs(name: str, block: str) -> None:
    found = directives(block)
    if "output" not in found:  # a named target
        assert found <= {"input"}
        return
    assert {"log", "threads", "resources", "params", "conda", "script"} <= found
    assert re.search(r"mem_mb=", block) and re.search(r"runtime=", block)
    assert "version=VERSION[" in block
    script = re.search(r'script:\s+"\.\./(workflow/scripts/\w+\.py)"', block)
    assert (ROOT / script[1]).exists()
    environment = re.search(r'conda:\s+"\.\./(envs/\w+\.yaml)"', block)
    assert (ROOT / environment[1]).exists()


def test_every_script_belongs_to_a_rule() -> None:
    used = {name for rule in RULES for name in re.findall(r"scripts/(\w+\.py)", rule.values[1])}
    assert used == {path.name for path in (ROOT / "workflow" / "scripts").glob("*.py")}
