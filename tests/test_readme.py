"""What README.md and the documentation say to type works; their links and tables are in order."""

import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from stackbert.cli import _parser
from stackbert.report.config_doc import page
from tests.workflow.conftest import Copy

ROOT = Path(__file__).resolve().parents[1]
PAGES = [
    ROOT / name
    for name in (
        "README.md",
        "CONTRIBUTING.md",
        "docs/architecture.md",
        "docs/config.md",
        "docs/troubleshooting.md",
    )
]


def blocks(page: Path, language: str) -> list[str]:
    """Code blocks of a language in a Markdown page."""
    text = page.read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)


def commands() -> list[str]:
    """Every command that a page shows in a block of its own or whole between backticks."""
    found = []
    for path in PAGES:
        lines = [line for block in blocks(path, "sh") for line in block.splitlines()]
        lines += re.findall(r"`((?:snakemake|make) [^`]+)`", path.read_text(encoding="utf-8"))
        # Not split and joined: that would lose the quotes.
        found += [re.sub(r"\s+#.*", "", line).strip() for line in lines]
    return [command for command in dict.fromkeys(found) if command]


# Run for real elsewhere: the report in tests/report, --unlock needs a lock, conda needs a network.
ELSEWHERE = {
    "source .venv/bin/activate",
    "snakemake --report report.html",
    "snakemake --report",
    "snakemake --lint",
    "snakemake --unlock",
    "snakemake --cores 2 --sdm conda",
    "snakemake --profile slurm",
}
SNAKEMAKE = [c for c in commands() if c.startswith("snakemake") and c not in ELSEWHERE]
MAKE = [c for c in commands() if c.startswith("make ")]
# What stands after the pipe, if there is one.
PYTHON = [c.rpartition("| ")[2] for c in commands() if "python -m stackbert " in c]


def test_every_command_is_known() -> None:
    known = {*SNAKEMAKE, *MAKE, *ELSEWHERE}
    unknown = [c for c in commands() if c not in known and "python -m stackbert " not in c]
    assert not unknown
    assert {"make run", "make test"} <= set(MAKE) and len(SNAKEMAKE) >= 6


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Copy:
    """A copy of the sources with the README's own recipe as mine.yaml."""
    copy = Copy(tmp_path_factory.mktemp("readme"))
    recipe = next(block for block in blocks(ROOT / "README.md", "yaml") if "mine:" in block)
    (copy.folder / "mine.yaml").write_text(recipe, encoding="utf-8")
    entry, overlay = (block for block in blocks(ROOT / "README.md", "yaml") if "MINE" in block)
    table = copy.folder / "workflow" / "resources" / "glue_tasks.yaml"
    table.write_text(table.read_text(encoding="utf-8") + "\n" + entry, encoding="utf-8")
    (copy.folder / "task.yaml").write_text(overlay, encoding="utf-8")
    data = copy.folder / "data" / "MINE"
    data.mkdir(parents=True)
    rows = "sentence\tlabel\nA fine day .\tyes\nA bad one .\tno\n"
    for name in ("train.tsv", "dev.tsv"):
        (data / name).write_text(rows, encoding="utf-8")
    return copy


@pytest.mark.parametrize("command", SNAKEMAKE)
def test_snakemake_command_resolves(fresh: Copy, command: str) -> None:
    arguments = shlex.split(command)[1:]
    dry = [] if "-n" in arguments else ["-n"]
    run = fresh.snakemake(*arguments, *dry, configs=[])
    assert run.returncode == 0, run.stdout[-3000:]
    assert "Job stats:" in run.stdout


def test_own_recipe_of_the_readme_trains_its_own_stages(fresh: Copy) -> None:
    run = fresh.snakemake("-n", "pretrain", configs=["mine.yaml"])
    assert run.returncode == 0, run.stdout[-3000:]
    for stage in ("L2", "L4", "L8"):
        assert f"results/pretrain/mine/{stage}/checkpoint.pt" in run.stdout


def test_own_task_of_the_readme_is_prepared(fresh: Copy) -> None:
    codes = fresh.folder / "results" / "bpe" / "codes"
    codes.parent.mkdir(parents=True)
    codes.write_text("#version: 0.2\nf i\n", encoding="utf-8")
    try:
        target = "results/glue_data/MINE/train.tsv"
        run = fresh.snakemake(
            target, "--cores", "1", "--allowed-rules", "glue_prepare", configs=["task.yaml"]
        )
        assert run.returncode == 0, run.stdout[-3000:]
        lines = (fresh.folder / target).read_text(encoding="utf-8").splitlines()
        assert lines[1].endswith("\tyes") and "fi@@" in lines[1]
    finally:
        shutil.rmtree(fresh.folder / "results")


@pytest.mark.parametrize("command", MAKE)
def test_make_command_has_its_target(command: str) -> None:
    run = subprocess.run(["make", "-n", *shlex.split(command)[1:]], cwd=ROOT, capture_output=True)
    assert run.returncode == 0, run.stderr


@pytest.mark.parametrize("command", PYTHON)
def test_python_command_is_understood(command: str) -> None:
    options = _parser().parse_args(shlex.split(command)[3:])
    assert callable(options.command)


@pytest.mark.parametrize(
    "path", sorted({*PAGES, *(ROOT / "docs").glob("*.md")}), ids=lambda path: path.name
)
def test_links_lead_to_files(path: Path) -> None:
    for link in re.findall(r"\]\(([^)]+)\)", path.read_text(encoding="utf-8")):
        if not link.startswith("http"):
            assert (path.parent / link).exists(), link


def test_configuration_page_is_up_to_date() -> None:
    written = (ROOT / "docs" / "config.md").read_text(encoding="utf-8")
    assert written == page(), "config.yaml or the schema changed: make docs"


def test_every_key_is_described() -> None:
    rows = [line for line in page().splitlines() if line.startswith("| `")]
    assert len(rows) > 35
    for row in rows:
        assert len(row.split("|")[-2].strip()) > 5, row


def test_citation_and_licence() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["cff-version"] == "1.2.0" and citation["license"] == "MIT"
    assert (ROOT / "LICENSE").read_text(encoding="utf-8").startswith("MIT License")
    version = re.search(r'^version = "(.+)"', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    assert version and citation["version"] == version[1]
    assert f"## {version[1]}" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
