# fairseq's dictionary and binarized data, and the table of what every step did to the text.
rule binarize:
    input:
        train=gather.shards(f"{RESULTS}/bpe/{{scatteritem}}.train.txt"),
        valid=gather.shards(f"{RESULTS}/bpe/{{scatteritem}}.valid.txt"),
    output:
        multiext(
            f"{RESULTS}/bin/",
            dictionary="dict.txt",
            train_bin="train.bin",
            train_idx="train.idx",
            valid_bin="valid.bin",
            valid_idx="valid.idx",
            counts="counts.json",
        ),
    log:
        f"{RESULTS}/logs/binarize/binarize.log",
    benchmark:
        f"{RESULTS}/benchmarks/binarize/binarize.tsv"
    conda:
        "../envs/train.yaml"
    threads: 2
    resources:
        # fairseq keeps the length of every line
        mem_mb=lambda wildcards, input: 1500 + int(0.2 * input.size_mb),
        runtime=1440,
    params:
        version=VERSION["binarize"],
        vocab_size=config["bpe"]["vocab_size"],
    script:
        "../workflow/scripts/binarize.py"


rule unigram:
    input:
        rules.binarize.output,
    output:
        f"{RESULTS}/tables/unigram.json",
    log:
        f"{RESULTS}/logs/unigram/unigram.log",
    conda:
        "../envs/train.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        version=VERSION["unigram"],
    script:
        "../workflow/scripts/unigram.py"


rule corpus_table:
    input:
        extract=[rules.extract.output.counts] if ARTICLES else [],
        books=[rules.read_books.output.counts] if BOOKS else [],
        clean=gather.shards(f"{RESULTS}/corpus/counts/clean/{{scatteritem}}.json"),
        split=rules.split.output.counts,
        tokenize=gather.shards(f"{RESULTS}/corpus/counts/tokenize/{{scatteritem}}.json"),
        binarize=rules.binarize.output.counts,
    output:
        table=f"{RESULTS}/tables/corpus.tsv",
    log:
        f"{RESULTS}/logs/corpus_table/table.log",
    conda:
        "../envs/text.yaml"
    threads: 1
    resources:
        mem_mb=500,
        runtime=10,
    params:
        version=VERSION["corpus_table"],
    script:
        "../workflow/scripts/corpus_table.py"


rule data:
    input:
        rules.binarize.output,
        rules.corpus_table.output,
