from __future__ import annotations

import gc

import numpy as np
import psutil
import pytest

from clickwise.data import dataset
from clickwise.data.dataset import EncodedPart, row_dtype
from clickwise.errors import DataError
from clickwise.schema import Field, InputSpec

INPUTS = InputSpec(
    fields=(Field(name="a", num_ids=10**6), Field(name="b", num_ids=10, length=2, weighted=True)), dense=("x",)
)
SMALL = InputSpec(fields=(Field(name="a", num_ids=10**6),))


def rows_of(count, inputs=INPUTS):
    rows = np.zeros(count, row_dtype(inputs))
    rows["sparse"] = np.arange(count)[:, None]
    rows["dense"] = np.arange(count)[:, None] / 2
    rows["label"] = np.arange(count) % 3 == 0
    rows["weight"] = np.arange(count) + 1
    rows["group"] = np.arange(count, dtype=np.uint64) + np.uint64(2**63)
    if inputs.weighted:
        rows["slot_weight"] = np.arange(count)[:, None] * 2
    return rows


@pytest.fixture(params=["file", "array"])
def part_of(request, tmp_path):
    def make(rows, inputs=INPUTS, **options):
        if request.param == "array":
            return EncodedPart(rows, inputs, **options)
        (tmp_path / "p.rows").write_bytes(rows.tobytes())
        return EncodedPart(tmp_path / "p.rows", inputs, **options)

    return make


def first_column(batches):
    return [batch.sparse[:, 0].tolist() for batch in batches]


def test_row_layout_has_no_gaps_and_slot_weights_only_when_needed():
    assert row_dtype(INPUTS).itemsize == 3 * 4 + 4 + 3 * 4 + 4 + 4 + 8
    assert "slot_weight" not in (row_dtype(SMALL).names or ())


def test_in_order_gives_every_value_of_every_row(part_of):
    part = part_of(rows_of(10))
    batches = list(part.batches(4, None))
    assert first_column(batches) == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
    second = batches[1]
    assert second.dense.tolist() == [[2.0], [2.5], [3.0], [3.5]]
    assert second.label.tolist() == [0, 0, 1, 0]
    assert second.weight.tolist() == [5, 6, 7, 8]
    assert second.slot_weight[:, 2].tolist() == [8, 10, 12, 14]
    assert len(part) == 10
    assert part.labels().tolist() == [1, 0, 0, 1, 0, 0, 1, 0, 0, 1]
    assert part.positives == 4


def test_batches_own_their_memory(part_of, monkeypatch):
    monkeypatch.setattr(dataset, "BLOCK_ROWS", 4)  # windows of 4 rows, read into the same memory one after the other
    part = part_of(rows_of(20, SMALL), SMALL)
    kept = list(part.batches(1, None))
    assert [int(batch.sparse[0, 0]) for batch in kept] == list(range(20))
    assert [float(batch.weight[0]) for batch in kept] == list(range(1, 21))


def test_weights_are_left_out_when_rows_have_none(part_of):
    part = part_of(rows_of(4, SMALL), SMALL, weighted=False)
    batch = next(part.batches(4, None))
    assert batch.weight is None
    assert batch.slot_weight is None


def test_scored_batches_give_label_weight_and_group_in_order(part_of):
    seen = list(part_of(rows_of(5)).scored_batches(2))
    assert [len(batch) for batch, *_ in seen] == [2, 2, 1]
    assert np.concatenate([label for _, label, _, _ in seen]).tolist() == [1, 0, 0, 1, 0]
    assert np.concatenate([weight for _, _, weight, _ in seen]).tolist() == [1, 2, 3, 4, 5]
    assert np.concatenate([group for _, _, _, group in seen]).tolist() == [2**63 + i for i in range(5)]


def test_shuffling_is_seeded_and_mixes_over_blocks(part_of, monkeypatch):
    monkeypatch.setattr(dataset, "BLOCK_ROWS", 10)
    monkeypatch.setattr(dataset, "WINDOW_BYTES", 50 * row_dtype(SMALL).itemsize)
    part = part_of(rows_of(1000, SMALL), SMALL)
    order = np.concatenate(first_column(part.batches(7, 3)))
    assert sorted(order) == list(range(1000))
    assert order.tolist() == np.concatenate(first_column(part.batches(7, 3))).tolist()
    assert order.tolist() == np.concatenate(first_column(part.batches(64, 3))).tolist()
    assert order.tolist() != np.concatenate(first_column(part.batches(7, 4))).tolist()
    blocks_of_first_window = {int(row) // 10 for row in order[:50]}
    assert len(blocks_of_first_window) == 5
    assert abs(np.corrcoef(order, np.arange(1000))[0, 1]) < 0.3
    assert np.mean(np.diff(order) == 1) < 0.1


@pytest.mark.parametrize("seed", [None, 0, 5])
@pytest.mark.parametrize("start", [0, 1, 5, 9, 142, 143, 200])
def test_start_skips_batches_exactly(part_of, monkeypatch, seed, start):
    monkeypatch.setattr(dataset, "BLOCK_ROWS", 10)
    monkeypatch.setattr(dataset, "WINDOW_BYTES", 50 * row_dtype(SMALL).itemsize)
    part = part_of(rows_of(1000, SMALL), SMALL)
    assert first_column(part.batches(7, seed, start)) == first_column(part.batches(7, seed))[start:]


def test_start_reads_nothing_of_what_it_skips(monkeypatch):
    monkeypatch.setattr(dataset, "BLOCK_ROWS", 10)
    monkeypatch.setattr(dataset, "WINDOW_BYTES", 50 * row_dtype(SMALL).itemsize)
    part = EncodedPart(rows_of(1000, SMALL), SMALL)
    read = []
    original = part._read
    monkeypatch.setattr(part, "_read", lambda start, into: (read.append(len(into)), original(start, into)))
    assert len(first_column(part.batches(50, 1, start=18))) == 2
    assert sum(read) == 100


def test_no_rows_and_no_sparse_fields(part_of):
    dense_only = InputSpec(dense=("x", "y"))
    assert list(part_of(rows_of(0, dense_only), dense_only).batches(4, 1)) == []
    part = part_of(rows_of(5, dense_only), dense_only)
    assert [tuple(b.sparse.shape) for b in part.batches(4, 1)] == [(4, 0), (1, 0)]
    assert part.labels().tolist() == [1, 0, 0, 1, 0]


def test_two_iterators_do_not_disturb_each_other(part_of):
    part = part_of(rows_of(100, SMALL), SMALL)
    pairs = zip(part.batches(10, None), part.batches(10, None), strict=True)
    assert all((a.sparse == b.sparse).all() for a, b in pairs)


def test_a_deleted_file_stays_readable(tmp_path):
    path = tmp_path / "p.rows"
    path.write_bytes(rows_of(10, SMALL).tobytes())
    part = EncodedPart(path, SMALL)
    path.unlink()
    assert np.concatenate(first_column(part.batches(3, None))).tolist() == list(range(10))


def test_damaged_or_missing_files(tmp_path):
    with pytest.raises(DataError, match="cannot be opened"):
        EncodedPart(tmp_path / "none.rows", SMALL)
    (tmp_path / "odd.rows").write_bytes(b"x" * 33)
    with pytest.raises(DataError, match="whole number of encoded rows"):
        EncodedPart(tmp_path / "odd.rows", SMALL)
    path = tmp_path / "cut.rows"
    path.write_bytes(rows_of(10, SMALL).tobytes())
    part = EncodedPart(path, SMALL)
    path.write_bytes(b"")
    with pytest.raises(DataError, match="cut short"):
        list(part.batches(3, None))


@pytest.mark.parametrize("seed", [None, 1])
def test_memory_stays_bounded_by_a_window(tmp_path, monkeypatch, seed):
    monkeypatch.setattr(dataset, "WINDOW_BYTES", 8 << 20)
    inputs = InputSpec(fields=tuple(Field(name=f"f{i}", num_ids=9) for i in range(20)))
    path, rows = tmp_path / "big.rows", np.zeros(100_000, row_dtype(inputs))
    with path.open("wb") as out:
        for _ in range(15):
            out.write(rows.tobytes())
    del rows
    size = path.stat().st_size
    assert size > 130 << 20
    part = EncodedPart(path, inputs)
    list(part.batches(4096, seed, start=len(part) // 4096))  # warm up
    gc.collect()
    process = psutil.Process()
    before = peak = process.memory_info().rss
    count = 0
    for i, batch in enumerate(part.batches(4096, seed)):
        count += len(batch)
        if i % 10 == 0:
            peak = max(peak, process.memory_info().rss)
    assert count == 1_500_000
    assert peak - before < 40 << 20
