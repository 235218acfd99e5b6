"""Simulated inputs with planted truth, and what was recovered of it."""


rule demo_transit:
    """A simulated archive of light curves and pixel files with planted transits."""
    output:
        manifest="<results>/demo/transit/demo_manifest.json",
        tces="<results>/demo/transit/tces.csv",
        truth="<results>/demo/transit/truth.json",
    log:
        "<logs>/demo_transit.log",
    benchmark:
        "<benchmarks>/demo_transit.tsv"
    conda:
        "../envs/transit.yaml"
    resources:
        mem_mb=memory("demo_transit"),
        runtime=minutes("demo_transit"),
    params:
        settings=TRANSIT.demo.model_dump_json(exclude={"learning_rate", "epochs"}),
        code=CODE["demo_transit"],
    shell:
        "python -m workflow_scripts.demo_transit"
        " --settings {params.settings:q}"
        ' --out "$(dirname {output.manifest:q})" > {log:q} 2>&1'


rule demo_transit_recovery:
    """Planted against recovered events and depths; fails where planted events were lost."""
    input:
        truth="<results>/demo/transit/truth.json",
        raw=TRANSIT_RAW,
    output:
        table=report(
            "<results>/transit/report/recovery.csv",
            category="Transit",
            subcategory="Demo",
            caption="../docs/captions/recovery.rst",
        ),
        figure=report(
            "<results>/transit/report/recovery.png",
            category="Transit",
            subcategory="Demo",
            caption="../docs/captions/recovery.rst",
        ),
    log:
        "<logs>/demo_transit_recovery.log",
    conda:
        "../envs/transit.yaml"
    resources:
        mem_mb=memory("demo_transit_recovery"),
        runtime=minutes("demo_transit_recovery"),
    params:
        code=CODE["demo_transit_recovery"],
        demo=TRANSIT.demo.model_dump_json(exclude={"learning_rate", "epochs"}),
        dispositions=TRANSIT.plan.tce_example_disps,
        mode="" if is_comparable(TRANSIT) else "--report-only",
    shell:
        "python -m workflow_scripts.demo_transit_recovery"
        " --truth {input.truth:q} --raw {input.raw:q} --dispositions {params.dispositions} {params.mode}"
        " --table {output.table:q} --figure {output.figure:q} > {log:q} 2>&1"
