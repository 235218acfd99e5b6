"""What the store of the voxel line is made from: voxels, RMSF and the plan."""


rule voxel_voxelize:
    """Voxels of protein structures, as aposteriori writes them."""
    input:
        [ancient(str(path)) for path in CONFIG.voxel.inputs.structures],
    output:
        voxels="<results>/voxel/voxelized.hdf5",
        receipt="<results>/voxel/voxelized.hdf5.receipt.json",
        ledger="<results>/voxel/voxelized.ledger.json",
    log:
        "<logs>/voxel_voxelize.log",
    benchmark:
        "<benchmarks>/voxel_voxelize.tsv"
    conda:
        "../envs/voxel.yaml"
    resources:
        mem_mb=memory("voxel_voxelize"),
        runtime=minutes("voxel_voxelize"),
    params:
        settings=VOXEL.voxelize.model_dump_json(),
        structures=structures_digest,
        code=CODE["voxel_voxelize"],
    shell:
        "python -m workflow_scripts.voxel_voxelize"
        " --structures {input:q} --settings {params.settings:q} --out {output.voxels:q} > {log:q} 2>&1"


rule voxel_extract_rmsf:
    """RMSF of mdCATH trajectories, as one long table."""
    input:
        [ancient(str(path)) for path in CONFIG.voxel.inputs.structures],
    output:
        "<results>/voxel/rmsf.csv",
    log:
        "<logs>/voxel_extract_rmsf.log",
    conda:
        "../envs/voxel.yaml"
    resources:
        mem_mb=memory("voxel_extract_rmsf"),
        runtime=minutes("voxel_extract_rmsf"),
    params:
        structures=structures_digest,
        code=CODE["voxel_extract_rmsf"],
    shell:
        "python -m workflow_scripts.voxel_extract_rmsf"
        " --structures {input:q} --out {output:q} > {log:q} 2>&1"


rule voxel_plan:
    """Domains, residues and samples: mapping, split, order, batch numbers, store parts, temperature scaling."""
    input:
        voxel_inputs,
    output:
        domains="<results>/voxel/plan/domains.parquet",
        residues="<results>/voxel/plan/residues.parquet",
        samples="<results>/voxel/plan/samples.parquet",
        scaler="<results>/voxel/plan/temp_scaling_params.json",
        plan="<results>/voxel/plan/plan.json",
    log:
        "<logs>/voxel_plan.log",
    conda:
        "../envs/voxel.yaml"
    resources:
        mem_mb=memory("voxel_plan"),
        runtime=minutes("voxel_plan"),
    params:
        settings=VOXEL.model_dump_json(include={"inputs", "plan", "export"}),
        digest=plan_digest,
        cache=str(STATE / "cache"),
        code=CODE["voxel_plan"],
    shell:
        "python -m workflow_scripts.voxel_plan"
        " --settings {params.settings:q} --cache {params.cache:q}"
        ' --out "$(dirname {output.plan:q})" > {log:q} 2>&1'
