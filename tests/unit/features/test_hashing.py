from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest
import xxhash

from clickwise.errors import ConfigError
from clickwise.features import Hashing


def test_ids_are_the_hash_modulo_the_buckets() -> None:
    config = Hashing.Config(num_buckets=1000, seed=5)
    hashing = Hashing.fit("f", config).finish()
    wanted = [2 + xxhash.xxh64_intdigest(t.encode(), 5) % 1000 for t in ("ad1", "7", "é")]
    assert hashing.ids(Hashing.parse(config, pa.array(["ad1", "7", "é", None, ""])))[:, 0].tolist() == [*wanted, 0, 0]
    assert hashing.ids(Hashing.parse(config, pa.array([7.0])))[0, 0] == wanted[1]
    assert hashing.field.num_ids == 1002


def test_lists_get_the_longest_length_that_was_fitted() -> None:
    config = Hashing.Config(num_buckets=10, separator=",", max_length=2)
    fit = Hashing.fit("f", config)
    fit.update(Hashing.parse(config, pa.array(["a,b,c", "a"])))
    assert fit.finish().field.length == 2


@pytest.mark.parametrize("settings", [{"num_buckets": 0}, {"num_buckets": 2**31}, {"num_buckets": 9, "seed": -1}])
def test_settings_out_of_range_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=list(settings)[-1]):
        Hashing.Config(**settings)
