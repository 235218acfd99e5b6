"""The voxel line: voxelised residues and RMSF to a sparse store, batch files, and a trained network."""


include: "voxel_plan.smk"
include: "voxel_inputs.smk"
include: "voxel_train.smk"
include: "voxel_demo.smk"


rule voxel:
    """The whole voxel line: dataset, trained model and report."""
    input:
        voxel_targets,


rule voxel_data:
    """The dataset of the voxel line alone, without training and plots."""
    input:
        voxel_dataset,


rule voxel_encode_part:
    """The grids of one part, as sorted positions of their set voxels."""
    input:
        residues=voxel_residues,
        voxels=voxel_file,
    output:
        part="<results>/voxel/store/grids/part_{part}.safetensors",
        receipt="<results>/voxel/store/grids/part_{part}.safetensors.receipt.json",
        table="<results>/voxel/store/grids/part_{part}.parquet",
        ledger="<results>/voxel/store/grids/ledger_{part}.json",
    log:
        "<logs>/voxel_encode_part/{part}.log",
    benchmark:
        "<benchmarks>/voxel_encode_part/{part}.tsv"
    conda:
        "../envs/voxel.yaml"
    threads: 1
    resources:
        mem_mb=memory("voxel_encode_part"),
        runtime=minutes("voxel_encode_part"),
    params:
        members=voxel_members,
        channels=VOXEL.inputs.channel_order,
        bad_grid=VOXEL.plan.bad_grid,
        code=CODE["voxel_encode_part"],
    shell:
        "python -m workflow_scripts.voxel_encode_part"
        " --voxels {input.voxels:q} --residues {params.members:q} --part {wildcards.part}"
        " --channels {params.channels:q} --bad-grid {params.bad_grid}"
        ' --out "$(dirname {output.part:q})" > {log:q} 2>&1'


rule voxel_merge_store:
    """Residues, samples, rejects, scaling and manifest of the store, once all parts are there."""
    input:
        # With rules.voxel_plan.output here, Snakemake would hash each list below once per file in it.
        plan=expand(
            "<results>/voxel/plan/{table}",
            table=[
                "domains.parquet",
                "residues.parquet",
                "samples.parquet",
                "temp_scaling_params.json",
                "plan.json",
            ],
        ),
        parts=expand("<results>/voxel/store/grids/{name}", name=VOXEL_PART_NAMES),
        ledgers=expand(
            "<results>/voxel/store/grids/ledger_{part}.json", part=VOXEL_PARTS
        ),
    output:
        manifest="<results>/voxel/store/manifest.json",
        residues="<results>/voxel/store/residues.parquet",
        samples="<results>/voxel/store/samples.parquet",
        rejects="<results>/voxel/store/rejects.parquet",
        scaler="<results>/voxel/store/temp_scaling_params.json",
        ledger="<results>/voxel/store/ledger.json",
    log:
        "<logs>/voxel_merge_store.log",
    conda:
        "../envs/voxel.yaml"
    resources:
        mem_mb=memory("voxel_merge_store"),
        runtime=minutes("voxel_merge_store"),
    params:
        settings=VOXEL.plan.model_dump_json(),
        code=CODE["voxel_merge_store"],
    shell:
        "python -m workflow_scripts.voxel_merge_store"
        ' --plan "$(dirname {input.plan[0]:q})" --settings {params.settings:q}'
        ' --out "$(dirname {output.manifest:q})" > {log:q} 2>&1'


rule voxel_export_part:
    """Batch files of one part of a split, under one manifest that vouches for them."""
    input:
        "<results>/voxel/store/manifest.json",
    output:
        "<results>/voxel/export/{split}/part_{part}.json",
    log:
        "<logs>/voxel_export_part/{split}_{part}.log",
    conda:
        "../envs/voxel.yaml"
    resources:
        mem_mb=memory("voxel_export_part"),
        runtime=minutes("voxel_export_part"),
    params:
        settings=VOXEL.export.model_dump_json(),
        code=CODE["voxel_export_part"],
    shell:
        "python -m workflow_scripts.voxel_export_part"
        ' --store "$(dirname {input:q})" --split {wildcards.split} --part {wildcards.part}'
        ' --settings {params.settings:q} --out "$(dirname "$(dirname {output:q})")" > {log:q} 2>&1'


rule voxel_write_meta:
    """Lists of the batch files, temperature scaling, failed domains; removes files of earlier plans."""
    input:
        store="<results>/voxel/store/manifest.json",
        domains="<results>/voxel/plan/domains.parquet",
        manifests=voxel_manifests,
    output:
        "<results>/voxel/export/failed_preprocess_domains.txt",
    log:
        "<logs>/voxel_write_meta.log",
    localrule: True
    conda:
        "../envs/voxel.yaml"
    resources:
        mem_mb=memory("voxel_write_meta"),
        runtime=minutes("voxel_write_meta"),
    params:
        settings=VOXEL.export.model_dump_json(),
        code=CODE["voxel_write_meta"],
    shell:
        "python -m workflow_scripts.voxel_write_meta"
        ' --store "$(dirname {input.store:q})" --domains {input.domains:q} --settings {params.settings:q}'
        ' --out "$(dirname {output:q})" > {log:q} 2>&1'


rule voxel_check:
    """Proof that nothing was lost and nothing leaks; the build fails where it does not hold."""
    input:
        store="<results>/voxel/store/manifest.json",
        manifests=voxel_manifests,
        ledgers=voxel_ledgers,
    output:
        check=report(
            "<results>/voxel/check/check.json",
            category="Voxel",
            subcategory="Dataset",
            caption="../docs/captions/check.rst",
        ),
        rejects=report(
            "<results>/voxel/check/rejects.csv",
            category="Voxel",
            subcategory="Dataset",
            caption="../docs/captions/check.rst",
        ),
        ledger="<results>/voxel/check/ledger.json",
        dataset="<results>/voxel/check/dataset.json",
    log:
        "<logs>/voxel_check.log",
    conda:
        "../envs/voxel.yaml"
    resources:
        mem_mb=memory("voxel_check"),
        runtime=minutes("voxel_check"),
    params:
        settings=VOXEL.model_dump_json(exclude={"train"}),
        digest=plan_digest,
        cache=str(STATE / "cache"),
        stages=json.dumps({name: CODE[name] for name in VOXEL_STAGES}),
        code=CODE["voxel_check"],
    shell:
        "python -m workflow_scripts.voxel_check"
        ' --voxel "$(dirname "$(dirname {output.check:q})")" --ledgers {input.ledgers:q}'
        " --settings {params.settings:q} --digest {params.digest} --cache {params.cache:q}"
        " --code {params.stages:q} > {log:q} 2>&1"
