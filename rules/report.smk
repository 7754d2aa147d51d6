# Tables, figures and pages of report.html, and the comparison of the recipes.
from stackbert.report.inputs import benchmark_files


report: "../workflow/report/workflow.rst"


rule loss_report:
    input:
        curves=[f"{RESULTS}/pretrain/{recipe}/curve.tsv" for recipe in RECIPES],
    output:
        time_to_loss=f"{RESULTS}/tables/time_to_loss.tsv",
        seconds=report(
            f"{RESULTS}/figures/loss_seconds.svg",
            caption="../workflow/report/loss_seconds.rst",
            category="Pre-training",
            labels={"what": "Loss against time"},
        ),
        tokens=report(
            f"{RESULTS}/figures/loss_tokens.svg",
            caption="../workflow/report/loss_tokens.rst",
            category="Pre-training",
            labels={"what": "Loss against tokens"},
        ),
        stages=report(
            f"{RESULTS}/tables/stages.html",
            caption="../workflow/report/stages.rst",
            category="Pre-training",
            labels={"what": "Stages"},
        ),
        bars=report(
            f"{RESULTS}/figures/time_to_loss.svg",
            caption="../workflow/report/time_to_loss.rst",
            category="Growth",
            labels={"what": "Time to the control's loss"},
        ),
        growth=report(
            f"{RESULTS}/tables/growth.html",
            caption="../workflow/report/growth.rst",
            category="Growth",
            labels={"what": "Time to loss and growth steps"},
        ),
    log:
        f"{RESULTS}/logs/loss_report/report.log",
    conda:
        "../envs/report.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        version=VERSION["loss_report"],
        arms=seeded(config),
        control=config["control"],
    script:
        "../workflow/scripts/loss_report.py"


rule comparison:
    input:
        curves=[f"{RESULTS}/pretrain/{recipe}/curve.tsv" for recipe in RECIPES],
        unigram=rules.unigram.output[0],
    output:
        runs=f"{RESULTS}/tables/comparison_runs.tsv",
        arms=f"{RESULTS}/tables/comparison.tsv",
        page=report(
            f"{RESULTS}/tables/comparison.html",
            caption="../workflow/report/comparison.rst",
            category="Growth",
            labels={"what": "Comparison over seeds"},
        ),
    log:
        f"{RESULTS}/logs/comparison/comparison.log",
    conda:
        "../envs/report.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        version=VERSION["comparison"],
        config={
            key: config.get(key)
            for key in ("recipes", "control", "compare", "model", "pretrain", "bpe")
        },
    script:
        "../workflow/scripts/comparison.py"


rule glue_report:
    input:
        table=rules.glue_table.output[0],
        paper=rules.glue_paper.output[0],
    output:
        figure=report(
            f"{RESULTS}/figures/glue.svg",
            caption="../workflow/report/glue.rst",
            category="GLUE",
            labels={"what": "Scores and their spread"},
        ),
        page=report(
            f"{RESULTS}/tables/glue.html",
            caption="../workflow/report/glue_table.rst",
            category="GLUE",
            labels={"what": "Table of scores, beside the paper's"},
        ),
    log:
        f"{RESULTS}/logs/glue_report/report.log",
    conda:
        "../envs/report.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        version=VERSION["glue_report"],
        recipes=RECIPES,
    script:
        "../workflow/scripts/glue_report.py"


rule corpus_report:
    input:
        table=rules.corpus_table.output.table,
    output:
        figure=report(
            f"{RESULTS}/figures/corpus.svg",
            caption="../workflow/report/corpus_lines.rst",
            category="Corpus",
            labels={"what": "What became of the lines"},
        ),
        page=report(
            f"{RESULTS}/tables/corpus.html",
            caption="../workflow/report/corpus.rst",
            category="Corpus",
            labels={"what": "Counters of every step"},
        ),
    log:
        f"{RESULTS}/logs/corpus_report/report.log",
    conda:
        "../envs/report.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        version=VERSION["corpus_report"],
    script:
        "../workflow/scripts/corpus_report.py"


rule resources_report:
    input:
        benchmarks=benchmark_files(
            {
                rule.name: str(rule.benchmark)
                for rule in workflow.rules
                if rule.benchmark
            },
            config,
        ),
    output:
        figure=report(
            f"{RESULTS}/figures/rule_times.svg",
            caption="../workflow/report/rule_times.rst",
            category="Resources",
            labels={"what": "Time per rule"},
        ),
        page=report(
            f"{RESULTS}/tables/resources.html",
            caption="../workflow/report/resources.rst",
            category="Resources",
            labels={"what": "Time and memory per rule"},
        ),
    log:
        f"{RESULTS}/logs/resources_report/report.log",
    conda:
        "../envs/report.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        version=VERSION["resources_report"],
    script:
        "../workflow/scripts/resources_report.py"


rule rulegraph_report:
    output:
        figure=report(
            f"{RESULTS}/figures/rulegraph.svg",
            caption="../workflow/report/rulegraph.rst",
            category="Reproducibility",
            labels={"what": "The workflow's rules"},
        ),
    log:
        f"{RESULTS}/logs/rulegraph_report/report.log",
    conda:
        "../envs/report.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        version=VERSION["rulegraph_report"],
        config=config,
        snakefile=workflow.main_snakefile,
        rules=[rule.name for rule in workflow.rules],
    script:
        "../workflow/scripts/rulegraph_report.py"


rule reproducibility_report:
    input:
        runs=sorted({run for recipe in RECIPES for run in stages(recipe, "run.json")}),
    output:
        config=report(
            f"{RESULTS}/tables/config.html",
            caption="../workflow/report/config.rst",
            category="Reproducibility",
            labels={"what": "Configuration"},
        ),
        versions=report(
            f"{RESULTS}/tables/versions.html",
            caption="../workflow/report/versions.rst",
            category="Reproducibility",
            labels={"what": "Seeds, commit, machine, versions"},
        ),
    log:
        f"{RESULTS}/logs/reproducibility_report/report.log",
    conda:
        "../envs/report.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        version=VERSION["reproducibility_report"],
        config=config,
    script:
        "../workflow/scripts/reproducibility_report.py"


rule compare:
    input:
        rules.loss_report.output,
        rules.comparison.output if config.get("compare") else [],
        rules.glue_report.output,
        rules.corpus_report.output,
        rules.resources_report.output,
        rules.rulegraph_report.output,
        rules.reproducibility_report.output,
