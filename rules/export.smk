# Folders for Hugging Face's transformers: each recipe's encoder, and its model of each task.
from stackbert.export import bundle
from stackbert.glue import tasks as glue_tasks


rule export_pretrained:
    input:
        models=lambda wildcards: [last_stage(wildcards.recipe)],
        runs=lambda wildcards: [last_stage(wildcards.recipe, "run.json")],
        curve=f"{RESULTS}/pretrain/{{recipe}}/curve.tsv",
        codes=rules.learn_bpe.output.codes,
        dictionary=f"{RESULTS}/bin/dict.txt",
        corpus=rules.corpus_table.output.table,
        glue=rules.glue_table.output,
        code=bundle.sources(),
    output:
        [f"{RESULTS}/export/{{recipe}}/{name}" for name in bundle.file_names()],
    log:
        f"{RESULTS}/logs/export_pretrained/{{recipe}}.log",
    conda:
        "../envs/train.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=30,
    params:
        version=VERSION["export"],
    script:
        "../workflow/scripts/export.py"


rule export_finetuned:
    input:
        models=[
            f"{RESULTS}/glue/{{recipe}}/{{task}}/seed{seed}/model.pt"
            for seed in config["glue"]["seeds"]
        ],
        runs=[
            f"{RESULTS}/glue/{{recipe}}/{{task}}/seed{seed}/{name}"
            for seed in config["glue"]["seeds"]
            for name in ("run.json", "scores.json")
        ],
        curve=rules.export_pretrained.input.curve,
        codes=rules.learn_bpe.output.codes,
        dictionary=f"{RESULTS}/bin/dict.txt",
        corpus=rules.corpus_table.output.table,
        glue=rules.glue_table.output,
        code=bundle.sources(),
    output:
        [f"{RESULTS}/export/{{recipe}}/{{task}}/{name}" for name in bundle.file_names()],
    log:
        f"{RESULTS}/logs/export_finetuned/{{recipe}}.{{task}}.log",
    conda:
        "../envs/train.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=30,
    params:
        version=VERSION["export"],
    script:
        "../workflow/scripts/export.py"


# A task that answers with its most frequent label has no model.
rule export:
    input:
        [
            f"{RESULTS}/export/{recipe}/{part}model.safetensors"
            for recipe in RECIPES
            for part in [
                "",
                *(
                    f"{task}/"
                    for task in GLUE_TASKS
                    if glue_tasks.entry(task)["loss"] != "majority"
                ),
            ]
        ],
