"""Public click logs by name: how their files look, and what their columns mean."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from clickwise.errors import ConfigError, nearest


@dataclass(frozen=True, kw_only=True, slots=True)
class Preset:
    """A public format.

    Args:
        format: what the files are.
        names: the columns, in order, of files without a header.
        optional: the leading columns that a file may lack, such as the label of a test file.
        header: whether files begin with a line of names; None looks.
        delimiter: the character between cells; None looks.
        null_values: cells that mean "missing", beside those of `DataConfig`.
        strip: cut spaces around cells.
        quote: whether double quotes around a cell have a meaning.
        schema: plain data in the layout of a schema file: label, time, positive, threshold, exclude, and features as
            name -> {transform, column, and the keys of that transform}. A column that is neither excluded nor named
            here is left to inference.
    """

    format: Literal["csv", "tsv"]
    names: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()
    header: bool | None = None
    delimiter: str | None = None
    null_values: tuple[str, ...] = ()
    strip: bool = False
    quote: bool = True
    schema: Mapping[str, Any] = field(default_factory=dict)


def preset(name: str) -> Preset:
    """The preset called `name`.

    Raises:
        ConfigError: there is none; lists them and the nearest.

    >>> preset("criteo").names[:3], preset("criteo").schema["label"]
    (('label', 'I1', 'I2'), 'label')
    """
    if name not in PRESETS:
        hit = nearest(name, PRESETS)
        raise ConfigError("data.format", f"unknown preset {name!r}{hit}; known are {', '.join(PRESETS)}")
    return PRESETS[name]


def _features(names: Iterable[str], transform: str, **options: Any) -> dict[str, dict[str, Any]]:
    return {name: {"transform": transform, "column": name, **options} for name in names}


_CRITEO_NUMBERS = tuple(f"I{i}" for i in range(1, 14))
_CRITEO_TOKENS = tuple(f"C{i}" for i in range(1, 27))

_AVAZU_TOKENS = (
    "C1", "banner_pos", "site_id", "site_domain", "site_category", "app_id", "app_domain", "app_category", "device_id",
    "device_ip", "device_model", "device_type", "device_conn_type", *(f"C{i}" for i in range(14, 22)),
)  # fmt: skip

_KDD12_TOKENS = (
    "url_hash", "ad_id", "advertiser_id", "depth", "position", "query_id", "keyword_id", "title_id", "description_id",
    "user_id",
)  # fmt: skip

_ADULT_NUMBERS = ("age", "education_num", "capital_gain", "capital_loss", "hours_per_week")
_ADULT_TOKENS = (
    "workclass", "education", "marital_status", "occupation", "relationship", "race", "sex", "native_country",
)  # fmt: skip

PRESETS: dict[str, Preset] = {
    # Criteo Display Advertising Challenge (2014). The integers are counts with long tails, so they go into buckets
    # of equal mass; a token that was seen once in training says nothing about clicks.
    "criteo": Preset(
        format="tsv",
        names=("label", *_CRITEO_NUMBERS, *_CRITEO_TOKENS),
        optional=("label",),
        header=False,
        delimiter="\t",
        quote=False,
        schema={
            "label": "label",
            "features": _features(_CRITEO_NUMBERS, "bucket") | _features(_CRITEO_TOKENS, "vocabulary", min_count=2),
        },
    ),
    # Avazu CTR Prediction (2014). `id` is unique per row.
    "avazu": Preset(
        format="csv",
        header=True,
        delimiter=",",
        schema={
            "label": "click",
            "time": "hour",
            "exclude": ["id"],
            "features": {
                "hour_of_day": {"transform": "datetime", "column": "hour", "part": "hour", "format": "%y%m%d%H"},
                "weekday": {"transform": "datetime", "column": "hour", "part": "weekday", "format": "%y%m%d%H"},
            }
            | _features(_AVAZU_TOKENS, "vocabulary", min_count=2),
        },
    ),
    # KDD Cup 2012 track 2 (Tencent search ads), as the quoted CSV with a header and as the raw TSV without one. A row
    # is a group of impressions with its count of clicks; the number of impressions is known only afterwards.
    "kdd12": Preset(
        format="csv",
        names=("click", "impression", *_KDD12_TOKENS),
        optional=("click", "impression"),
        schema={
            "label": "click",
            "threshold": 1.0,
            "exclude": ["impression"],
            "features": _features(_KDD12_TOKENS, "vocabulary", min_count=2),
        },
    ),
    # UCI Adult. `fnlwgt` is a census weight that says nothing about the person.
    "adult": Preset(
        format="csv",
        names=(
            "age", "workclass", "fnlwgt", "education", "education_num", "marital_status", "occupation", "relationship",
            "race", "sex", "capital_gain", "capital_loss", "hours_per_week", "native_country", "income",
        ),
        header=False,
        delimiter=",",
        null_values=("?",),
        strip=True,
        schema={
            "label": "income",
            "positive": [">50K", ">50K."],
            "exclude": ["fnlwgt"],
            "features": _features(_ADULT_NUMBERS, "bucket") | _features(_ADULT_TOKENS, "vocabulary", min_count=2),
        },
    ),
}  # fmt: skip
