# Staged training: train_stage -> stack -> train_stage ..., and the recipe's curve.
rule train_stage:
    input:
        data=rules.data.input,
        init=initial_weights,
    output:
        checkpoint=f"{RESULTS}/pretrain/{{recipe}}/{{stage}}/checkpoint.pt",
        curve=f"{RESULTS}/pretrain/{{recipe}}/{{stage}}/curve.tsv",
        run=f"{RESULTS}/pretrain/{{recipe}}/{{stage}}/run.json",
    log:
        f"{RESULTS}/logs/train_stage/{{recipe}}.{{stage}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/train_stage/{{recipe}}.{{stage}}.tsv"
    conda:
        "../envs/train.yaml"
    threads: config["threads"] * config["pretrain"]["devices"]
    resources:
        mem_mb=2000,
        runtime=1440,
    params:
        version=VERSION["train_stage"],
        config={
            key: config[key]
            for key in ("model", "pretrain", "seed", "threads", "device")
        },
        stage=stage_settings,
    script:
        "../workflow/scripts/train_stage.py"


rule stack:
    input:
        shallower_checkpoint,
    output:
        weights=f"{RESULTS}/pretrain/{{recipe}}/{{stage}}/grown.pt",
        timing=f"{RESULTS}/pretrain/{{recipe}}/{{stage}}/growth.json",
    log:
        f"{RESULTS}/logs/stack/{{recipe}}.{{stage}}.log",
    conda:
        "../envs/train.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=30,
    params:
        version=VERSION["stack"],
        layers=lambda wildcards: stage_before(wildcards)["layers"],
        to_layers=lambda wildcards: stage_settings(wildcards)["layers"],
        operator=lambda wildcards: stage_settings(wildcards)["grow"],
        seed=lambda wildcards: stage_settings(wildcards)["seed"],
    script:
        "../workflow/scripts/stack.py"


rule curve:
    input:
        curves=lambda wildcards: [
            f"{RESULTS}/pretrain/{wildcards.recipe}/{stage}/curve.tsv"
            for stage in stages(wildcards.recipe)
        ],
        growths=lambda wildcards: [
            f"{RESULTS}/pretrain/{wildcards.recipe}/{stage}/growth.json"
            for stage in stages(wildcards.recipe)[1:]
        ],
    output:
        f"{RESULTS}/pretrain/{{recipe}}/curve.tsv",
    log:
        f"{RESULTS}/logs/curve/{{recipe}}.log",
    conda:
        "../envs/report.yaml"
    threads: 1
    resources:
        mem_mb=500,
        runtime=10,
    params:
        version=VERSION["curve"],
        stages=lambda wildcards: [
            {"layers": stage["layers"]}
            for stage in config["recipes"][wildcards.recipe]
        ],
    script:
        "../workflow/scripts/curve.py"


rule pretrain:
    input:
        [
            f"{RESULTS}/pretrain/{recipe}/{last_stage(recipe)}/checkpoint.pt"
            for recipe in RECIPES
        ],
        [f"{RESULTS}/pretrain/{recipe}/curve.tsv" for recipe in RECIPES],
