from __future__ import annotations

from pathlib import Path

import pytest

from clickwise.data.config import DataConfig
from clickwise.data.open import open_source
from clickwise.data.presets import PRESETS, preset
from clickwise.data.quarantine import QuarantineFile
from clickwise.errors import ConfigError, DataError
from clickwise.features.schema_data import schema_from_data

SHARED = Path(__file__).resolve().parents[3] / ".." / "shared" / "data"

REAL = [
    # file, format, rows, columns, positives of the label
    ("criteo_10k/train.txt", "criteo", 10_000, 40, ("label", {"1"})),
    ("criteo_10k/test_nolabel.txt", "criteo", 1_200, 39, None),
    ("avazu_10k/train.csv", "avazu", 9_999, 24, ("click", {"1"})),
    ("kdd12_40k/click.csv", "kdd12", 39_948, 12, ("click", {"1"})),
    ("talkingdata_100k/train.csv", "auto", 100_000, 8, ("is_attributed", {"1"})),
    ("adult/adult.data", "adult", 32_561, 15, ("income", {">50K"})),
    ("adult/adult.test", "adult", 16_281, 15, ("income", {">50K."})),
    ("ml-100k/ml-100k.inter", "auto", 100_000, 4, None),
    ("open_bandit/bts/all/all.csv", "auto", 10_000, 90, ("click", {"1"})),
    ("open_bandit/random/all/all.csv", "auto", 10_000, 90, ("click", {"1"})),
    ("frappe_x1/train.parquet", "auto", 202_027, 11, ("label", {1})),
    ("frappe_x1/valid.parquet", "auto", 57_722, 11, ("label", {1})),
    ("frappe_x1/test.parquet", "auto", 28_860, 11, ("label", {1})),
]
RATES = {"criteo": 0.218, "avazu": 0.171, "kdd12": 0.168, "adult": 0.241, "talkingdata": 0.0023}


@pytest.mark.parametrize(("file", "kind", "rows", "columns", "label"), REAL, ids=[entry[0] for entry in REAL])
def test_the_real_file_is_read_whole(file, kind, rows, columns, label):
    if not (SHARED / file).exists():
        pytest.skip(f"the real data is not beside this checkout: shared/data/{file}")
    source = open_source(str(SHARED / file), DataConfig(format=kind))
    quarantine = QuarantineFile()
    seen, positive = 0, 0
    for block in source.blocks(None, quarantine):
        assert block.row[0] == seen + 1
        seen += len(block)
        if label:
            positive += sum(value in label[1] for value in block.data[label[0]].to_pylist())
    assert (seen, len(source.columns()), quarantine.count) == (rows, columns, 0)
    rate = next((RATES[name] for name in RATES if file.startswith(name)), None)
    if label and rate:
        assert positive / seen == pytest.approx(rate, rel=0.03)


@pytest.mark.parametrize("name", PRESETS)
def test_every_column_has_a_meaning(name):
    known = preset(name)
    if known.names:
        used = {feature["column"] for feature in known.schema["features"].values()}
        assert sorted(known.names) == sorted({known.schema["label"], *known.schema.get("exclude", ()), *used}), (
            "each column is the label, a feature's or excluded"
        )
    assert known.schema["label"] not in known.schema.get("exclude", ())


@pytest.mark.parametrize("name", PRESETS)
def test_the_schema_is_a_valid_one(name):
    data = {key: value for key, value in preset(name).schema.items() if key != "exclude"}
    schema = schema_from_data(data)
    assert schema.label == data["label"] and len(schema.features) == len(data["features"])


def test_an_unknown_preset_says_the_nearest():
    with pytest.raises(ConfigError, match="unknown preset 'crito' \\(did you mean 'criteo'\\?\\)"):
        preset("crito")


def read(path, kind):
    source = open_source(str(path), DataConfig(format=kind))
    return [row for block in source.blocks() for row in block.data.to_pylist()]


def test_criteo_with_and_without_the_label(tmp_path):
    numbers, tokens = ["1", "", "-2"] + [""] * 10, ['"68fd1e64', ""] + ["x"] * 24
    (tmp_path / "a.txt").write_text("\t".join(["1", *numbers, *tokens]) + "\n")
    (row,) = read(tmp_path / "a.txt", "criteo")
    assert list(row)[:2] == ["label", "I1"] and list(row)[-1] == "C26"
    assert (row["label"], row["I2"], row["I3"], row["C1"], row["C2"]) == ("1", None, "-2", '"68fd1e64', None)
    (tmp_path / "b.txt").write_text("\t".join([*numbers, *tokens]) + "\n")
    (row,) = read(tmp_path / "b.txt", "criteo")
    assert list(row) == list(PRESETS["criteo"].names[1:]) and row["C26"] == "x"
    (tmp_path / "c.txt").write_text("\t".join(numbers) + "\n")
    with pytest.raises(DataError, match=r"row 1.*the first line has 13 cells, expected 40 or 39"):
        read(tmp_path / "c.txt", "criteo")


def test_kdd12_as_quoted_csv_and_as_raw_tsv(tmp_path):
    (tmp_path / "a.csv").write_text(
        '"click","impression","url_hash","ad_id","advertiser_id","depth","position","query_id","keyword_id",'
        '"title_id","description_id","user_id"\n"0",1,107,"8",9,3,3,7702266,"21","27","15","0"\n'
    )
    (tmp_path / "raw.txt").write_text("0\t1\t107\t8\t9\t3\t3\t7702266\t21\t27\t15\t0\n")
    (tmp_path / "test.txt").write_text("107\t8\t9\t3\t3\t7702266\t21\t27\t15\t0\n")
    assert read(tmp_path / "a.csv", "kdd12") == read(tmp_path / "raw.txt", "kdd12")
    assert list(read(tmp_path / "test.txt", "kdd12")[0]) == list(PRESETS["kdd12"].names[2:])


def test_adult_is_stripped_and_question_marks_are_missing(tmp_path):
    cells = ["39", "?", "77516", "Bachelors", "13", *["x"] * 9, "<=50K"]
    (tmp_path / "adult.data").write_text(", ".join(cells) + "\n\n")
    (row,) = read(tmp_path / "adult.data", "adult")
    assert (row["age"], row["workclass"], row["income"]) == ("39", None, "<=50K")
