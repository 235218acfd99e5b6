"""Reading a dataset: everything that does not belong there is refused, and a build that goes on can be read."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from small_build import SmallBuild, built, small_settings

from trainyard.splice import master as module
from trainyard.splice.dataset_schema import FeatureColumn, dataset
from trainyard.splice.master import contract_of, inspect_master, open_master, stream_part
from trainyard.yard.errors import InputError, IntegrityError
from trainyard.yard.files import read_json, write_json
from trainyard.yard.receipts import receipt_path, write_receipt


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    build = built(tmp_path_factory.mktemp("finished") / "splice")
    build.assembled()
    return build.base


@pytest.fixture
def base(finished: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(finished, tmp_path / "splice"))


def part(base: Path, number: int) -> Path:
    return base / "master" / f"part-{number:05d}.parquet"


def drop(base: Path, number: int) -> None:
    part(base, number).unlink()
    receipt_path(part(base, number)).unlink()


def test_a_finished_dataset_opens_as_one_arrow_dataset(base: Path) -> None:
    found = open_master(base)
    assert found.count_rows() == read_json(base / "master" / "manifest.json")["rows"]
    assert found.schema.equals(dataset(small_settings().features).schema, check_metadata=True)
    assert open_master(base / "master").count_rows() == found.count_rows()
    assert len({str(x) for x in found.to_table(columns=["gene_id"])["gene_id"]}) == 12


def test_the_contract_of_a_part_is_that_of_the_settings_with_families(base: Path) -> None:
    wanted = dataset(small_settings().features)
    found = contract_of(part(base, 1))
    assert found.digest == wanted.digest
    assert found.schema.equals(wanted.schema, check_metadata=True)
    features = inspect_master(base).features
    assert all(isinstance(column, FeatureColumn) for column in features)
    assert {column.family for column in features} == {"base", "context", "published", "kmer", "motif", "structure"}
    assert "label" not in {column.name for column in features}


def test_rows_come_in_pieces_by_part(base: Path) -> None:
    master = inspect_master(base)
    pieces = list(master.stream(["gene_id", "position"]))
    assert [index for index, _ in pieces] == [0, 1, 2]
    assert sum(table.num_rows for _, table in pieces) == master.rows
    assert pieces[0][1].column_names == ["gene_id", "position"]


def test_pieces_are_bounded_whatever_the_number_of_columns(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BATCH_CELLS", 142 * 10)
    sizes = [table.num_rows for _, table in inspect_master(base).stream()]
    assert max(sizes) == 10 and sum(sizes) == 930
    assert max(table.num_rows for table in stream_part(part(base, 1), ["gene_id"])) > 10


def test_temporary_files_are_no_strays(base: Path) -> None:
    (base / "master" / ".part-00009.parquet.host.1.part").write_bytes(b"half")
    assert inspect_master(base).status == "complete"


def _foreign_file(base: Path) -> None:
    shutil.copy(part(base, 1), base / "master" / "batch_00001.parquet")


def _extra_part(base: Path) -> None:
    shutil.copy(part(base, 1), part(base, 9))
    shutil.copy(receipt_path(part(base, 1)), receipt_path(part(base, 9)))


def _missing(base: Path) -> None:
    drop(base, 2)


def _no_receipt(base: Path) -> None:
    receipt_path(part(base, 2)).unlink()


def _torn(base: Path) -> None:
    part(base, 2).write_bytes(part(base, 2).read_bytes()[:-7])


def _flipped(base: Path) -> None:
    data = bytearray(part(base, 2).read_bytes())
    data[len(data) // 2] ^= 1
    part(base, 2).write_bytes(bytes(data))


def _rebuilt(base: Path) -> None:
    table = pq.read_table(part(base, 2))
    pq.write_table(table.slice(1), part(base, 2))
    write_receipt(part(base, 2), records=table.num_rows - 1)


def _foreign_schema(base: Path) -> None:
    table = pq.read_table(part(base, 2))
    column = table.schema.field("gc_content")
    pq.write_table(table.append_column(column.with_name("gc_again"), table["gc_content"]), part(base, 2))
    write_receipt(part(base, 2), records=table.num_rows)


def _no_contract(base: Path) -> None:
    table = pq.read_table(part(base, 2)).replace_schema_metadata(None)
    pq.write_table(table, part(base, 2))
    write_receipt(part(base, 2), records=table.num_rows)


def _wrong_count(base: Path) -> None:
    write_receipt(part(base, 2), records=7)


def _no_manifest_of_ours(base: Path) -> None:
    write_json(base / "master" / "manifest.json", {"format": "else"})


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (_foreign_file, r"master: batch_00001.parquet do not belong in a dataset"),
        (_extra_part, r"1 parts are not in the manifest, first part-00009.parquet"),
        (_missing, r"1 of 3 parts are missing or have no receipt, first part-00002.parquet"),
        (_no_receipt, r"first part-00002.parquet"),
        (_torn, r"part-00002.parquet: has \d+ bytes, its receipt says"),
        (_flipped, r"part-00002.parquet: sha256 is"),
        (_rebuilt, r"part-00002.parquet: was built again after the manifest"),
        (_foreign_schema, r"part-00002.parquet: its columns are not those of part-00001.parquet \(adds gc_again\)"),
        (_no_contract, r"part-00002.parquet: its schema states no contract"),
        (_wrong_count, r"part-00002.parquet: holds \d+ rows, its receipt says 7"),
        (_no_manifest_of_ours, r"manifest.json: not a manifest"),
    ],
)
def test_what_is_wrong_is_refused_by_name(base: Path, damage: Callable[[Path], None], says: str) -> None:
    damage(base)
    with pytest.raises(IntegrityError, match=says):
        inspect_master(base)


def test_damage_is_refused_in_a_partial_dataset_too(base: Path) -> None:
    _flipped(base)
    with pytest.raises(IntegrityError, match="sha256"):
        inspect_master(base, allow_partial=True)
    assert inspect_master(base, allow_partial=True, checksums=False).rows
    with pytest.raises(IntegrityError, match="cannot be read as Parquet"):
        list(stream_part(part(base, 2)))


def test_a_partial_dataset_needs_to_be_asked_for(base: Path) -> None:
    drop(base, 3)
    (base / "master" / "manifest.json").unlink()
    with pytest.raises(InputError, match=r"incomplete \(partial 2 of \? parts\).*--allow-partial"):
        open_master(base)
    assert open_master(base, allow_partial=True).count_rows() == sum(
        pq.read_metadata(part(base, n)).num_rows for n in (1, 2)
    )


def test_a_build_can_be_read_while_it_goes_on(tmp_path: Path) -> None:
    build = SmallBuild(tmp_path / "splice").reference().plan().batches(2)
    (build.master / "part-00001.parquet").write_bytes(b"not finished: no receipt yet")
    found = inspect_master(build.base, allow_partial=True)
    assert (found.status, [part.path.name for part in found.parts]) == ("partial 1 of ?", ["part-00002.parquet"])
    (build.master / "part-00001.parquet").unlink()
    build.assembled(partial=True)
    build.batches(1)
    found = inspect_master(build.base, allow_partial=True)
    assert (found.status, len(found.parts)) == ("partial 2 of 3", 2)
    with pytest.raises(IntegrityError, match="a build is going on"):
        inspect_master(build.base)
    build.batches(3)
    build.assembled()
    assert inspect_master(build.base).status == "complete"
    build.settings = small_settings(selection={"n_genes": 4})
    build.assembled()
    build.settings = small_settings()
    build.batches(2)
    assert inspect_master(build.base, allow_partial=True).status == "partial 2 of ?"


def test_an_old_manifest_does_not_stand_in_the_way_of_a_build_with_other_columns(tmp_path: Path) -> None:
    build = built(tmp_path / "splice")
    build.assembled()
    build.settings = small_settings(features={"kmer_sizes": [2]})
    build.batches(1)
    with pytest.raises(IntegrityError, match=r"part-00002.parquet: its columns are not those of part-00001.parquet"):
        inspect_master(build.base, allow_partial=True)
    build.batches()
    with pytest.raises(IntegrityError, match="its columns are not those of the manifest"):
        inspect_master(build.base)
    assert build.assembled()["status"] == "complete"


def test_a_folder_without_parts_or_none_at_all_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such folder"):
        open_master(tmp_path / "none")
    with pytest.raises(InputError, match="no finished part"):
        open_master(tmp_path)


def test_a_column_that_is_null_in_one_part_is_not_up_cast(base: Path) -> None:
    table = pq.read_table(part(base, 2))
    place = table.schema.get_field_index("gc_content")
    changed = table.set_column(
        place, table.schema.field(place).with_type(pa.float64()), table["gc_content"].cast("double")
    )
    pq.write_table(changed, part(base, 2))
    write_receipt(part(base, 2), records=table.num_rows)
    with pytest.raises(IntegrityError, match="same names, but other types"):
        open_master(base)
