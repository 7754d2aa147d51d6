# Staged training: train_stage -> stack -> train_stage ..., and the recipe's curve.
rule train_stage:
    input:
        data=rules.data.input,
        init=initial_weights,
        early=early_runs,
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
        config=TRAINING,
        stage=stage_settings,
    script:
        "../workflow/scripts/train_stage.py"


rule stack:
    input:
        shallow=shallower_checkpoint,
        data=lambda wildcards: rules.data.input if growth_training(wildcards) else [],
    output:
        weights=f"{RESULTS}/pretrain/{{recipe}}/{{stage}}/grown.pt",
        timing=f"{RESULTS}/pretrain/{{recipe}}/{{stage}}/growth.json",
    log:
        f"{RESULTS}/logs/stack/{{recipe}}.{{stage}}.log",
    conda:
        "../envs/train.yaml"
    threads:
        lambda wildcards: (
            config["threads"] * config["pretrain"]["devices"]
            if growth_training(wildcards)
            else 1
        )
    resources:
        mem_mb=2000,
        runtime=1440,
    params:
        version=VERSION["stack"],
        layers=lambda wildcards: stage_before(wildcards)["layers"],
        to_layers=lambda wildcards: stage_settings(wildcards)["layers"],
        operator=lambda wildcards: stage_settings(wildcards)["grow"],
        seed=lambda wildcards: stage_settings(wildcards)["seed"],
        moments=lambda wildcards: stage_settings(wildcards).get("moments", "reset"),
        training=growth_training,
    script:
        "../workflow/scripts/stack.py"


rule curve:
    input:
        curves=lambda wildcards: stages(wildcards.recipe, "curve.tsv"),
        growths=lambda wildcards: stages(wildcards.recipe, "growth.json")[1:],
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
        [last_stage(recipe) for recipe in RECIPES],
        [f"{RESULTS}/pretrain/{recipe}/curve.tsv" for recipe in RECIPES],
