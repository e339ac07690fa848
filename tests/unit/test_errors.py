from __future__ import annotations

from clickwise.errors import ConfigError, DataError, clipped


def test_data_error_names_every_place() -> None:
    error = DataError("is not a number", file="a.csv", row=7, column="price", value="x" * 500, fix="mend it")
    text = str(error)
    assert text.startswith("a.csv, row 7, column 'price', value 'xxx")
    assert text.endswith("...: is not a number; mend it")
    assert len(text) < 200


def test_data_error_without_a_place() -> None:
    assert str(DataError("no rows")) == "no rows"


def test_config_error_can_be_seen_from_outside() -> None:
    assert str(ConfigError("rate", "bad").under("training.optimizer")) == "training.optimizer.rate: bad"


def test_clipped_never_reprs_a_megabyte() -> None:
    assert len(clipped("y" * 10**6)) == 80
    assert clipped(5) == "5"
