"""report.html from Snakemake itself, opened in headless Chromium without a network."""

import os
import re
from pathlib import Path

import pytest

from tests.report.browser import Browser, available
from tests.report.handmade import snakemake

SECTIONS = {
    "Corpus": ["corpus.html", "corpus.svg"],
    "Pre-training": ["loss_seconds.svg", "loss_tokens.svg", "stages.html"],
    "Growth": ["growth.html", "time_to_loss.svg"],
    "GLUE": ["glue.svg", "glue.html"],
    "Resources": ["rule_times.svg", "resources.html"],
    "Reproducibility": ["config.html", "versions.html", "rulegraph.svg"],
}
CLICK = """
const [selector, text] = arguments;
const found = [...document.querySelectorAll(selector)].filter(
  e => text === null || e.innerText.trim() === text).pop();
if (found) found.click();
return Boolean(found);
"""
# Name of the shown file, once its figure has been drawn or its page has been put in.
SHOWN = """
const names = [...document.querySelectorAll('img, iframe')]
  .filter(e => e.tagName === 'IFRAME' || (e.complete && e.naturalWidth > 0))
  .map(e => (e.src.match(/filename=([^;]+);/) || [])[1]);
return names.filter(name => name && name !== 'logo.svg' && name !== arguments[0]).pop();
"""


def screenshots(tmp_path: Path) -> Path:
    """Folder for pictures: kept where STACKBERT_ARTIFACTS says, else with the test's files."""
    return Path(os.environ.get("STACKBERT_ARTIFACTS", tmp_path / "artifacts"))


@pytest.mark.skipif(not available(), reason="needs Debian's chromium and chromium-driver")
@pytest.mark.timeout(180)
def test_every_section_shows_its_figures_and_tables(project: Path, tmp_path: Path) -> None:
    pictures = screenshots(tmp_path)
    with Browser(tmp_path / "profile") as browser:
        browser.open(project / "report.html")
        browser.wait_for("return document.body.innerText.includes('Pre-training')")
        assert "after Efficient Training of BERT" in browser.text()
        browser.screenshot(pictures / "start.png")
        for section, files in SECTIONS.items():
            browser.wait_for(CLICK, "li, a, button", section)
            count = browser.wait_for("return document.querySelectorAll('a[iconname=eye]').length")
            assert count == len(files), section
            shown: list[str] = [""]
            for place in range(count):
                browser.run(
                    "document.querySelectorAll('a[iconname=eye]')[arguments[0]].click()", place
                )
                shown.append(browser.wait_for(SHOWN, shown[-1]))
                browser.screenshot(pictures / f"{section}-{shown[-1]}.png")
            assert sorted(shown[1:]) == sorted(files)
            browser.wait_for(CLICK, "a", "Results")
        assert browser.problems() == []


def test_report_is_self_contained_and_has_every_caption(project: Path) -> None:
    page = (project / "report.html").read_text(encoding="utf-8")
    assert not re.findall(r'<(?:script|link|img|iframe)[^>]*(?:src|href)="(?:https?:)?//', page)
    captions = page.count("What it shows.")
    assert captions >= sum(map(len, SECTIONS.values()))
    assert page.count("How it was measured.") == page.count("What to conclude.") == captions


def test_second_run_does_nothing(project: Path) -> None:
    done = snakemake(project, "--cores", "2")
    assert "Nothing to be done" in done.stderr + done.stdout


def test_a_figure_is_the_same_bit_for_bit(project: Path) -> None:
    figures = project / "results" / "figures"
    before = {path.name: path.read_bytes() for path in figures.iterdir()}
    assert set(before) == {f for files in SECTIONS.values() for f in files if f.endswith(".svg")}
    done = snakemake(project, "--cores", "2", "--forcerun", "loss_report", "rulegraph_report")
    assert done.returncode == 0, done.stderr
    assert {path.name: path.read_bytes() for path in figures.iterdir()} == before


def test_labels_units_and_colours_of_the_loss_figure(project: Path) -> None:
    text = (project / "results/figures/loss_seconds.svg").read_text(encoding="utf-8")
    for label in (
        "validation MLM loss (nats per masked token)",
        "training time (s), growing included",
        "6 layers",
        "12 layers",
        "stacking (6.45)",
        "scratch (6.70)",
        "scratch's final loss 6.70",
    ):
        assert f"<!-- {label} -->" in text
    for figure in ("loss_seconds", "loss_tokens", "time_to_loss", "glue"):
        text = (project / f"results/figures/{figure}.svg").read_text(encoding="utf-8").lower()
        assert "#0072b2" in text and "#d55e00" in text, figure


def test_time_to_loss_of_the_given_curves(project: Path) -> None:
    lines = (project / "results/tables/time_to_loss.tsv").read_text(encoding="utf-8").splitlines()
    assert lines == [
        "recipe\ttarget_loss\tseconds\tupdates\ttokens\tspeedup",
        "stacking\t6.7000\t80.0\t250\t1000000\t1.500",
        "scratch\t6.7000\t120.0\t200\t800000\t1.000",
    ]


def test_pages_hold_configuration_versions_and_times(project: Path) -> None:
    tables = project / "results" / "tables"
    config = (tables / "config.html").read_text(encoding="utf-8")
    assert "recipes.stacking[2].layers" in config and "pretrain.mask_probability" in config
    versions = (tables / "versions.html").read_text(encoding="utf-8")
    assert "torch" in versions and "results/pretrain/stacking/L6" in versions
    resources = (tables / "resources.html").read_text(encoding="utf-8")
    assert "train_stage" in resources and '<td class="n">4</td>' in resources  # its jobs


def test_glue_page_has_spread_and_the_papers_numbers(project: Path) -> None:
    page = (project / "results/tables/glue.html").read_text(encoding="utf-8")
    for cell in ("0.2210", "0.1900", "0.2400", "22.1", "84.2"):
        assert f'<td class="n">{cell}</td>' in page
