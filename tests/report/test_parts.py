"""Durations, benchmark sums, HTML tables, rule graph layout, the files the report waits for."""

from pathlib import Path

import networkx as nx
import pandas as pd
import pytest

from stackbert.errors import UserError
from stackbert.report.html import flatten, write_tables
from stackbert.report.inputs import benchmark_files
from stackbert.report.resources import duration, readable, rule_times
from stackbert.report.rulegraph import layout, parse_dot, without_cycles
from stackbert.report.style import PALETTE, colours
from tests.report.handmade import BENCHMARK, tabbed


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(4.25, "4.2 s"), (90, "90 s"), (200, "3 min 20 s"), (18720, "5 h 12 min")],
)
def test_duration(seconds: float, words: str) -> None:
    assert duration(seconds) == words


def test_rule_times_sums_jobs_and_keeps_missing_memory_empty(tmp_path: Path) -> None:
    paths = []
    for rule, job, text in (
        ("train", "a", BENCHMARK),
        ("train", "b", BENCHMARK),
        ("quick", "a", BENCHMARK.replace("412.5", "NA").replace("31.5", "0.1")),
    ):
        path = tmp_path / rule / f"{job}.tsv"
        path.parent.mkdir(exist_ok=True)
        path.write_text(tabbed(text), encoding="utf-8")
        paths.append(str(path))
    table = rule_times(paths)
    assert list(table["rule"]) == ["train", "quick"]
    assert list(table["jobs"]) == [2, 1]
    assert table["seconds"].tolist() == [63.0, 0.1]
    assert readable(table)["peak memory of a job"].tolist() == ["412 MiB", ""]


def test_a_file_that_is_no_benchmark_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.tsv"
    path.write_text("a\tb\n1\t2\n", encoding="utf-8")
    with pytest.raises(UserError, match=r"x\.tsv: not a benchmark"):
        rule_times([str(path)])


def test_html_tables_escape_text_and_keep_empty_cells(tmp_path: Path) -> None:
    table = pd.DataFrame({"name": ["<mask>", "b"], "value": [0.5, float("nan")]})
    write_tables(str(tmp_path / "t.html"), "T & U", {"Heading": table})
    text = (tmp_path / "t.html").read_text(encoding="utf-8")
    assert "&lt;mask&gt;" in text and "<mask>" not in text
    assert "T &amp; U" in text and '<td class="n">0.5</td>' in text and "<td></td>" in text


def test_flatten_numbers_stages_from_one() -> None:
    config = {"a": {"b": 1, "c": None}, "r": [{"layers": 3}, {"layers": 6}], "l": [1, 2]}
    assert flatten(config) == {
        "a.b": "1", "a.c": "", "r[1].layers": "3", "r[2].layers": "6", "l": "[1, 2]"
    }  # fmt: skip


def test_rule_graph_goes_down_and_marks_the_way_back() -> None:
    dot = '0[label = "all", x];1[label = "train_stage"];2[label = "stack"];3[label = "data"];'
    dot += '4[label = "table"]; 3 -> 1; 1 -> 2; 2 -> 1; 1 -> 4; 3 -> 4; 4 -> 0'
    graph = parse_dot(dot)
    assert "all" not in graph
    forward, back = without_cycles(graph)
    assert back == [("stack", "train_stage")]
    assert nx.is_directed_acyclic_graph(forward) and not forward.has_edge("data", "table")
    places, _ = layout(forward)
    assert all(places[a][1] > places[b][1] for a, b in forward.edges)
    assert len(set(places.values())) == len(places)


def test_colours_differ_and_stay_with_their_recipe() -> None:
    assert len(set(PALETTE)) == len(PALETTE)
    assert colours(["a", "b", "c"])["b"] == colours(["a", "b"])["b"]


def test_benchmark_files_of_every_combination() -> None:
    config = {
        "corpus": {"shards": 2},
        "recipes": {"s": [{"layers": 3}, {"layers": 6}]},
        "glue": {"tasks": ["RT"], "seeds": [1, 2]},
    }
    patterns = {
        "tokenize": r"R/tokenize/{scatteritem,\d+-of-\d+}.tsv",
        "train_stage": "R/train/{recipe}.{stage,L[0-9]+}.tsv",
        "glue_finetune": "R/fine/{recipe}.{task}.seed{seed}.tsv",
        "learn_bpe": "R/bpe.tsv",
        "some_other_rule": "R/other.tsv",
        "read_books": "R/books.tsv",
        "extract": "R/extract.tsv",
    }
    assert benchmark_files(patterns, config) == [
        "R/tokenize/1-of-2.tsv",
        "R/tokenize/2-of-2.tsv",
        "R/bpe.tsv",
        "R/train/s.L3.tsv",
        "R/train/s.L6.tsv",
        "R/fine/s.RT.seed1.tsv",
        "R/fine/s.RT.seed2.tsv",
    ]
    config["corpus"]["books"] = ["folder"]
    assert benchmark_files(patterns, config)[-1] == "R/books.tsv"
    config["corpus"]["dump"] = {"path": "dump.xml.bz2"}
    assert benchmark_files(patterns, config)[0] == "R/extract.tsv"
