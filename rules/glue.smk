# GLUE: download -> prepare -> fine-tune (one process per task and seed) -> table.
from stackbert.glue import tasks as glue_tasks

try:
    GLUE_TASKS = glue_tasks.trained(config["glue"]["tasks"])
except UserError as error:
    sys.exit(f"error: {error}")


rule glue_download:
    output:
        directory(f"{RESULTS}/glue_raw/{{task}}"),
    log:
        f"{RESULTS}/logs/glue_download/{{task}}.log",
    conda:
        "../envs/text.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=120,
    params:
        version=VERSION["glue_download"],
        download=lambda wildcards: glue_tasks.entry(wildcards.task).get("download", {}),
    script:
        "../workflow/scripts/glue_download.py"


rule glue_prepare:
    input:
        files=lambda wildcards: glue_tasks.raw_files(
            wildcards.task, config["glue"], RESULTS
        ),
        codes=f"{RESULTS}/bpe/codes",
    output:
        train=f"{RESULTS}/glue_data/{{task}}/train.tsv",
        dev=f"{RESULTS}/glue_data/{{task}}/dev.tsv",
        test=f"{RESULTS}/glue_data/{{task}}/test.tsv",
        counts=f"{RESULTS}/glue_data/{{task}}/counts.json",
    log:
        f"{RESULTS}/logs/glue_prepare/{{task}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/glue_prepare/{{task}}.tsv"
    conda:
        "../envs/text.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=120,
    params:
        version=VERSION["glue_prepare"],
        task=lambda wildcards: glue_tasks.data_keys(wildcards.task),
        folder=lambda wildcards: glue_tasks.raw_folder(
            wildcards.task, config["glue"], RESULTS
        ),
        downloaded=config["glue"]["path"] is None,
        subset=config["glue"]["subset"],
    script:
        "../workflow/scripts/glue_prepare.py"


rule glue_finetune:
    input:
        data=lambda wildcards: [
            f"{RESULTS}/glue_data/{task}/{split}.tsv"
            for task in glue_tasks.run_tasks(wildcards.task, config["glue"]["tasks"])
            for split in glue_tasks.SPLITS
        ],
        dictionary=f"{RESULTS}/bin/dict.txt",
        checkpoint=lambda wildcards: (
            f"{RESULTS}/pretrain/{wildcards.recipe}/{last_stage(wildcards.recipe)}/checkpoint.pt"
        ),
    output:
        scores=f"{RESULTS}/glue/{{recipe}}/{{task}}/seed{{seed}}/scores.json",
        predictions=f"{RESULTS}/glue/{{recipe}}/{{task}}/seed{{seed}}/predictions.tsv",
        test=f"{RESULTS}/glue/{{recipe}}/{{task}}/seed{{seed}}/test.tsv",
        model=f"{RESULTS}/glue/{{recipe}}/{{task}}/seed{{seed}}/model.pt",
        run=f"{RESULTS}/glue/{{recipe}}/{{task}}/seed{{seed}}/run.json",
    log:
        f"{RESULTS}/logs/glue_finetune/{{recipe}}.{{task}}.seed{{seed}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/glue_finetune/{{recipe}}.{{task}}.seed{{seed}}.tsv"
    conda:
        "../envs/train.yaml"
    threads: config["threads"]
    resources:
        mem_mb=2000,
        runtime=720,
    params:
        version=VERSION["glue_finetune"],
        data=f"{RESULTS}/glue_data",
        task=lambda wildcards: glue_tasks.training_keys(wildcards.task),
        settings=lambda wildcards: glue_tasks.settings(
            config, wildcards.recipe, wildcards.task
        ),
    script:
        "../workflow/scripts/glue_finetune.py"


rule glue_table:
    input:
        [
            f"{RESULTS}/glue/{recipe}/{task}/seed{seed}/scores.json"
            for recipe in RECIPES
            for task in GLUE_TASKS
            for seed in config["glue"]["seeds"]
        ],
    output:
        f"{RESULTS}/tables/glue.tsv",
    log:
        f"{RESULTS}/logs/glue_table.log",
    conda:
        "../envs/report.yaml"
    threads: 1
    resources:
        mem_mb=500,
        runtime=10,
    params:
        version=VERSION["glue_table"],
    script:
        "../workflow/scripts/glue_table.py"


rule glue:
    input:
        rules.glue_table.output,
