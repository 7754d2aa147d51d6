"""How fast, in how much memory and on how much disk raw text becomes binarized data.

    python benchmarks/corpus.py [--text FILE ...] [--dump FILE] [--out FILE]

Without --text and --dump the embedded dump of config.yaml is taken; with both, the text of both.
Each step runs in a process of its own, two shards one after the other, then both at the same time;
of two runs the faster counts. `scaling_2_cores` is the one wall time over the other, of all
scattered steps together; `scaling_of_loops` is the same of two empty loops, which share nothing:
what the machine itself gave in these minutes. Seconds are CPU seconds after the imports; MB are
10^6 bytes of extracted text, and of XML for extract. `total` is from extracted text to binarized
data, without learn_bpe: the time to learn merges grows with the different words and the merges, not
with the text (it is listed by itself). `peak_growth` is the peak memory of a step's process over
that with a quarter of the text, for the step where it is largest. The last line is the result as
JSON; it is kept in --out with the machine's description.
"""

import argparse
import bz2
import json
import multiprocessing
import os
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from itertools import islice
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from stackbert.text.files import open_lines  # noqa: E402

SHARDS = 2
REPEATS = 2  # of every run, for its time
DOCUMENT = 10_000  # characters of a document of --text
LEAST_MB = 2  # of text, for a quarter of it to be measured
LOOP = 30_000_000  # turns of an empty loop, about a second
Measured = tuple[dict[str, list[dict[str, float]]], dict[str, float]]
SCATTERED = ("clean", "tokenize", "apply_bpe")
STEPS = ("clean", "split", "tokenize", "learn_bpe", "apply_bpe", "binarize")
LINEAR = ("clean", "split", "tokenize", "apply_bpe", "binarize")
# All of English Wikipedia, for the extrapolation.
DUMP_GB, XML_GB, TEXT_GB = 24, 100, 17  # compressed, uncompressed, articles' text
WORD_TYPES, MERGES = 10_000_000, 32_640  # different tokenized words, merges of the paper


def run_step(step: str, folder: str, shard: int, merges: int) -> dict[str, float]:
    """Run one step in this process; its CPU and wall seconds, and the most memory of a process."""
    work = _step(step, Path(folder), shard, merges)
    cpu, wall = sum(os.times()[:4]), time.perf_counter()  # with the processes that it starts
    work()
    peaks = map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return {
        "cpu": sum(os.times()[:4]) - cpu,
        "wall": time.perf_counter() - wall,
        "peak_mb": max(peak.ru_maxrss for peak in peaks) / 1e3,
    }


def _step(step: str, folder: Path, shard: int, merges: int) -> Callable[[], None]:
    """The step as a function without arguments; what it imports is imported here."""
    if step == "loop":
        return _loop

    def name(suffix: str, number: int = shard) -> str:
        return str(folder / f"{number}.{suffix}")

    def each(suffix: str) -> list[str]:
        return [name(suffix, number) for number in range(SHARDS)]

    def several(*suffixes: str) -> list[str]:
        return [name(suffix) for suffix in suffixes]

    counts = folder / "counts.json"
    if step == "extract":
        from stackbert.text.extract import extract

        return lambda: extract(folder / "dump", folder / "articles", counts, False, 1)
    if step == "split":
        from stackbert.text.split import split

        return lambda: split(each("hashes"), each("flags"), counts, 200)
    if step == "learn_bpe":
        from stackbert.text.learn_bpe import learn

        return lambda: learn(each("words"), folder / "codes", merges)
    if step == "binarize":
        from stackbert.text import dictionary as _  # noqa: F401  fairseq's import is not counted
        from stackbert.text.binarize import binarize

        made = folder / "bin"
        return lambda: binarize(each("train.bpe"), each("valid.bpe"), made, counts, 32_768)
    from stackbert.text import shards

    if step == "clean":
        lines, hashes, kept = several("lines", "hashes", "json")
        texts = sources(folder)
        return lambda: shards.clean_shard(texts, lines, hashes, kept, shard, SHARDS)
    if step == "tokenize":
        lines, flags, train, valid, words, kept = several(
            "lines", "flags", "train", "valid", "words", "json"
        )
        return lambda: shards.tokenize_shard(lines, flags, train, valid, words, kept, "sentencex")
    train, valid, train_out, valid_out = several("train", "valid", "train.bpe", "valid.bpe")
    return lambda: shards.encode_shard(train, valid, train_out, valid_out, folder / "codes")


def _loop() -> None:
    for _ in range(LOOP):
        pass


def measure(folder: Path, steps: list[str], merges: int, scale: bool = True) -> Measured:
    """Each step's measurements, one per shard where it is scattered; with `scale`, the scalings."""
    found: dict[str, list[dict[str, float]]] = {}
    one: dict[str, float] = {}
    two: dict[str, float] = {}
    for step in steps:
        shards = list(range(SHARDS)) if step in SCATTERED else [0]
        runs = REPEATS if scale else 1
        found[step] = [_fastest(runs, step, folder, [shard], merges)[0] for shard in shards]
        if scale and step in SCATTERED:
            loops = [_fastest(runs, "loop", folder, [shard], merges)[0] for shard in shards]
            for figure, name, alone in (
                ("scaling_2_cores", step, found[step]),
                ("scaling_of_loops", "loop", loops),
            ):
                both = _fastest(runs, name, folder, shards, merges)
                one[figure] = one.get(figure, 0.0) + sum(part["wall"] for part in alone)
                two[figure] = two.get(figure, 0.0) + max(part["wall"] for part in both)
        _tell(f"{step}: {sum(part['cpu'] for part in found[step]):.2f} s of CPU")
    return found, {figure: round(one[figure] / two[figure], 2) for figure in one}


def _fastest(runs: int, *arguments: Any) -> list[dict[str, float]]:
    """The run of least wall time: whatever else the machine does only makes it longer."""
    measured = [_in_process(*arguments) for _ in range(runs)]
    return min(measured, key=lambda parts: max(part["wall"] for part in parts))


def _in_process(step: str, folder: Path, shards: list[int], merges: int) -> list[dict[str, float]]:
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(len(shards), mp_context=context) as pool:
        jobs = [pool.submit(run_step, step, str(folder), shard, merges) for shard in shards]
        return [job.result() for job in jobs]


def prepare(folder: Path, texts: list[str], dump: str | None) -> float | None:
    """Write the texts as documents and fetch the dump, if there is to be one; its MB of XML."""
    if texts:
        with open(folder / "texts", "w", encoding="utf-8") as out:
            for text in texts:
                with open(text, encoding="utf-8", errors="ignore") as lines:
                    while document := lines.readlines(DOCUMENT):
                        content = json.dumps({"text": "".join(document)}, ensure_ascii=False)
                        out.write(content + "\n")
        if not dump:
            return None
    if dump:
        (folder / "dump").symlink_to(Path(dump).resolve())
    else:
        import yaml

        from stackbert.download import fetch

        config = yaml.safe_load((ROOT / "config.yaml").read_text(encoding="utf-8"))
        fetch(config["corpus"]["dump"], folder / "dump")
    with bz2.open(folder / "dump") as file:
        return sum(map(len, file)) / 1e6


def sources(folder: Path) -> list[Path]:
    """The files of extracted text."""
    return [path for path in (folder / "articles", folder / "texts") if path.exists()]


def quarter(folder: Path, source: Path) -> None:
    """Write every fourth document of the extracted text in `source` into `folder`."""
    with open(folder / "texts", "wb") as out:
        for path in sources(source):
            with open(path, "rb") as documents:
                out.writelines(islice(documents, 0, None, 4))


def peaks(found: dict[str, list[dict[str, float]]]) -> dict[str, float]:
    """MB of the largest process of each step."""
    return {step: max(part["peak_mb"] for part in parts) for step, parts in found.items()}


def disk_per_text(folder: Path) -> float:
    """Largest sum of files alive at the same time, over the size of the extracted text."""

    def size(*patterns: str) -> float:
        return sum(path.stat().st_size for pattern in patterns for path in folder.glob(pattern))

    moments = [
        size("articles", "texts", "*.lines", "*.hashes"),
        size("*.lines", "*.flags", "*.train", "*.valid", "*.words"),
        size("*.train", "*.valid", "*.bpe"),
        2 * size("*.bpe") + size("bin/*"),  # fairseq-preprocess wants one file
    ]
    return max(moments) / size("articles", "texts")


def summarize(
    folder: Path, found: dict[str, list[dict[str, float]]], xml_mb: float | None, merges: int
) -> dict[str, Any]:
    """The figures of the last line, but for the scaling."""
    text_mb = sum(path.stat().st_size for path in sources(folder)) / 1e6
    # Processor time is counted in hundredths of a second: a tiny text may take none.
    cpu = {step: max(0.01, sum(part["cpu"] for part in parts)) for step, parts in found.items()}
    per_core = {step: (xml_mb or 0) / cpu[step] for step in cpu if step == "extract"}
    per_core |= {step: text_mb / cpu[step] for step in cpu if step != "extract"}
    per_core["total"] = text_mb / sum(cpu[step] for step in LINEAR)
    types = {line.split()[0] for n in range(SHARDS) for line in open_lines(folder / f"{n}.words")}
    learning = cpu["learn_bpe"] * (WORD_TYPES / len(types)) * (MERGES / merges)
    seconds = TEXT_GB * 1e3 / per_core["total"] + learning
    if xml_mb:
        seconds += XML_GB * 1e3 / per_core["extract"]
    return {
        "text_mb": round(text_mb, 2),
        "mb_per_s_per_core": {step: round(rate, 2) for step, rate in per_core.items()},
        "peak_mb": round(max(peaks(found).values())),
        "peak_mb_per_step": {step: round(peak) for step, peak in peaks(found).items()},
        "enwiki_core_hours": round(seconds / 3600, 1),
        "enwiki_disk_gb": round(DUMP_GB + TEXT_GB * disk_per_text(folder)),
    }


def table(result: dict[str, Any]) -> str:
    """The README's table of a result."""
    rows = ["| step | MB/s per core | peak memory of a process |", "|---|---|---|"]
    for step, rate in result["mb_per_s_per_core"].items():
        name = {"extract": "extract (MB of XML)", "total": "**text to binarized data**"}.get(step)
        peak = result["peak_mb_per_step"].get(step, result["peak_mb"])
        rows.append(f"| {name or step} | {rate:.1f} | {peak} MB |")
    return "\n".join(rows) + "\n"


def main() -> None:
    """Measure, print the result as the last line, keep it with the machine's description."""
    from stackbert.provenance import machine

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--text", nargs="+", default=[], help="plain text files")
    parser.add_argument("--dump", help="a bz2 dump instead of the embedded one")
    parser.add_argument("--merges", type=int, default=4_000, help="merges to learn")
    parser.add_argument("--out", default=str(ROOT / "benchmarks" / "results" / "corpus.json"))
    arguments = parser.parse_args()
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as work:
        folder = Path(work)
        xml_mb = prepare(folder, arguments.text, arguments.dump)
        found, scaling = measure(folder, ["extract", *STEPS][not xml_mb :], arguments.merges)
        result = summarize(folder, found, xml_mb, arguments.merges)
        result |= scaling
        if result["text_mb"] > LEAST_MB:
            (folder / "quarter").mkdir()
            quarter(folder / "quarter", folder)
            part, _ = measure(folder / "quarter", list(STEPS), arguments.merges, scale=False)
            grown = {step: peaks(found)[step] / peak for step, peak in peaks(part).items()}
            result["peak_growth_per_step"] = {step: round(by, 2) for step, by in grown.items()}
            result["peak_growth"] = round(max(grown.values()), 2)
    out = Path(arguments.out)
    out.parent.mkdir(parents=True, exist_ok=True)
    kept = {"machine": machine(), "load_before": load, "files": len(arguments.text), **result}
    out.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")
    print(table(result), json.dumps(result), sep="\n")


def _tell(message: str) -> None:
    print(f"benchmark: {message}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
