# Merges learnt on the training words, applied to both parts of every shard.
rule learn_bpe:
    input:
        words=gather.shards(f"{RESULTS}/corpus/tokens/{{scatteritem}}.words"),
    output:
        codes=f"{RESULTS}/bpe/codes",
    log:
        f"{RESULTS}/logs/learn_bpe/learn.log",
    benchmark:
        f"{RESULTS}/benchmarks/learn_bpe/learn.tsv"
    conda:
        "../envs/text.yaml"
    threads: 1
    resources:
        # about 20 bytes for each character of the different words
        mem_mb=lambda wildcards, input: 500 + int(20 * input.size_mb),
        runtime=1440,
    params:
        version=VERSION["learn_bpe"],
        merges=config["bpe"]["merges"],
    script:
        "../workflow/scripts/learn_bpe.py"


rule apply_bpe:
    input:
        codes=rules.learn_bpe.output.codes,
        train=rules.tokenize.output.train,
        valid=rules.tokenize.output.valid,
    output:
        train=temp(f"{RESULTS}/bpe/{{scatteritem}}.train.txt"),
        valid=temp(f"{RESULTS}/bpe/{{scatteritem}}.valid.txt"),
    log:
        f"{RESULTS}/logs/apply_bpe/{{scatteritem}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/apply_bpe/{{scatteritem}}.tsv"
    conda:
        "../envs/text.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=720,
    params:
        version=VERSION["apply_bpe"],
    script:
        "../workflow/scripts/apply_bpe.py"
