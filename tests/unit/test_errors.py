from __future__ import annotations

import copy

from clickwise.errors import BundleError, ConfigError, DataError, clipped


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


def test_an_error_can_be_made_again_from_its_parts_as_a_pool_of_processes_does() -> None:
    for error in (ConfigError("a.b", "got 1"), DataError("is empty", file="f.csv", row=3), BundleError("damaged")):
        again = copy.copy(error)
        assert (type(again), str(again), vars(again)) == (type(error), str(error), vars(error))
