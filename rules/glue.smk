# GLUE: download -> prepare -> fine-tune (one process per task and seed) -> table.
from stackbert.glue import tasks as glue_tasks

try:
    GLUE_TASKS = glue_tasks.trained(config["glue"]["tasks"])
    glue_tasks.check_start(config["glue"])
except UserError as error:
    sys.exit(f"error: {error}")


wildcard_constraints:
    task=r"[A-Za-z0-9-]+",
    point=r"lr[^/]+",


GLUE_RUN = f"{RESULTS}/glue/{{recipe}}/{{task}}/seed{{seed}}"
GLUE_GRID = f"{RESULTS}/glue_grid/{{recipe}}/{{task}}"
GLUE_POINTS = glue_tasks.grid_points(config["glue"])
GLUE_SUBMISSIONS = (
    [f"{RESULTS}/glue/{recipe}/submission.zip" for recipe in RECIPES]
    if glue_tasks.submits(config["glue"]["tasks"]) and not config["glue"]["subset"]
    else []
)


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
        checkpoint=lambda wildcards: glue_tasks.start(
            config,
            wildcards.task,
            f"{RESULTS}/glue/{wildcards.recipe}/{{task}}/seed{wildcards.seed}/model.pt",
            last_stage(wildcards.recipe),
        ),
        choice=[f"{GLUE_GRID}/choice.json"] if GLUE_POINTS else [],
    output:
        scores=f"{GLUE_RUN}/scores.json",
        predictions=f"{GLUE_RUN}/predictions.tsv",
        test=f"{GLUE_RUN}/test.tsv",
        model=f"{GLUE_RUN}/model.pt",
        run=f"{GLUE_RUN}/run.json",
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
        seed=lambda wildcards: int(wildcards.seed),
    script:
        "../workflow/scripts/glue_finetune.py"


use rule glue_finetune as glue_grid_point with:
    input:
        data=lambda wildcards: [
            f"{RESULTS}/glue_data/{task}/{split}.tsv"
            for task in glue_tasks.run_tasks(wildcards.task, config["glue"]["tasks"])
            for split in glue_tasks.SPLITS
        ],
        dictionary=f"{RESULTS}/bin/dict.txt",
        checkpoint=lambda wildcards: last_stage(wildcards.recipe),
        choice=[],
    output:
        scores=f"{GLUE_GRID}/{{point}}/scores.json",
        predictions=temp(f"{GLUE_GRID}/{{point}}/predictions.tsv"),
        test=temp(f"{GLUE_GRID}/{{point}}/test.tsv"),
        model=temp(f"{GLUE_GRID}/{{point}}/model.pt"),
        run=f"{GLUE_GRID}/{{point}}/run.json",
    log:
        f"{RESULTS}/logs/glue_grid_point/{{recipe}}.{{task}}.{{point}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/glue_grid_point/{{recipe}}.{{task}}.{{point}}.tsv"
    params:
        version=VERSION["glue_finetune"],
        data=f"{RESULTS}/glue_data",
        task=lambda wildcards: glue_tasks.training_keys(wildcards.task),
        settings=lambda wildcards: {
            **glue_tasks.settings(config, wildcards.recipe, wildcards.task),
            **glue_tasks.grid_point(wildcards.point),
            "test": False,
        },
        seed=config["glue"]["seeds"][0],


rule glue_grid_choice:
    input:
        [f"{GLUE_GRID}/{point}/scores.json" for point in GLUE_POINTS],
    output:
        f"{GLUE_GRID}/choice.json",
    log:
        f"{RESULTS}/logs/glue_grid_choice/{{recipe}}.{{task}}.log",
    conda:
        "../envs/report.yaml"
    threads: 1
    resources:
        mem_mb=500,
        runtime=10,
    params:
        version=VERSION["glue_grid_choice"],
    script:
        "../workflow/scripts/glue_grid_choice.py"


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
        f"{RESULTS}/logs/glue_table/table.log",
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


rule glue_paper:
    input:
        rules.glue_table.output,
    output:
        f"{RESULTS}/tables/glue_vs_paper.tsv",
    log:
        f"{RESULTS}/logs/glue_paper/paper.log",
    conda:
        "../envs/report.yaml"
    threads: 1
    resources:
        mem_mb=500,
        runtime=10,
    params:
        version=VERSION["glue_paper"],
    script:
        "../workflow/scripts/glue_paper.py"


rule glue_submission_files:
    input:
        scores=lambda wildcards: [
            f"{RESULTS}/glue/{wildcards.recipe}/{task}/seed{seed}/scores.json"
            for task in GLUE_TASKS
            for seed in config["glue"]["seeds"]
        ],
        test=lambda wildcards: [
            f"{RESULTS}/glue/{wildcards.recipe}/{task}/seed{seed}/test.tsv"
            for task in GLUE_TASKS
            for seed in config["glue"]["seeds"]
        ],
    output:
        folder=directory(f"{RESULTS}/glue/{{recipe}}/submission"),
        choice=f"{RESULTS}/glue/{{recipe}}/submission.json",
    log:
        f"{RESULTS}/logs/glue_submission_files/{{recipe}}.log",
    conda:
        "../envs/report.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        version=VERSION["glue_submission_files"],
    script:
        "../workflow/scripts/glue_submission_files.py"


rule glue_submission:
    input:
        f"{RESULTS}/glue/{{recipe}}/submission",
    output:
        f"{RESULTS}/glue/{{recipe}}/submission.zip",
    log:
        f"{RESULTS}/logs/glue_submission/{{recipe}}.log",
    conda:
        "../envs/report.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        version=VERSION["glue_submission"],
    script:
        "../workflow/scripts/glue_submission.py"


rule glue:
    input:
        rules.glue_table.output,
        rules.glue_paper.output,
        GLUE_SUBMISSIONS,
