"""Simulated proteins with planted flexibility."""


rule demo_voxel:
    """Voxels, RMSF and split lists of simulated proteins."""
    output:
        manifest="<results>/demo/voxel/demo_manifest.json",
        truth="<results>/demo/voxel/truth.json",
        ledger="<results>/demo/voxel/voxels.ledger.json",
        inputs=voxel_demo_files,
    log:
        "<logs>/demo_voxel.log",
    benchmark:
        "<benchmarks>/demo_voxel.tsv"
    conda:
        "../envs/voxel.yaml"
    resources:
        mem_mb=memory("demo_voxel"),
        runtime=minutes("demo_voxel"),
    params:
        settings=VOXEL.demo.model_dump_json(include={"domains", "residues", "seed"}),
        code=CODE["demo_voxel"],
    shell:
        "python -m workflow_scripts.demo_voxel"
        ' --settings {params.settings:q} --out "$(dirname {output.manifest:q})" > {log:q} 2>&1'
