"""What the name of a column says about its numbers: names of things, or amounts."""

from __future__ import annotations

import re


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


_IDENTIFIERS = _set(
    "account ad ads adgroup advertiser app area article audience author banner brand browser campaign carrier cat "
    "category channel city class click client cluster code content context cookie country creative currency customer "
    "day department device dest destination domain district family flag format gender genre group hash hour id ids "
    "imei ip isp item key keyword kind lang language locale location make merchant model month network node object "
    "occupation offer os page partner phone placement platform post postal postcode product profession province "
    "publisher query race referrer region search segment seller session sex shop site sku slot source state status "
    "store subcategory subject tag target template theme title token topic type uid url user uuid vendor video weekday "
    "word zip zipcode zone"
)
_AMOUNTS = _set(
    "age amount amt avg balance bid bids budget bytes clicks cnt cost count counts ctr delay depth "
    "discount dist distance duration elapsed fee freq frequency gain gap height hours impression impressions income "
    "latency latitude length level likes lat lon longitude loss max mean median min minutes num number pct percent "
    "position price probability quantity qty rank rate ratio recency revenue salary score scores seconds share shares "
    "size spend std sum temperature tenure total value views visits volume votes weight wgt width years"
)
_COUNTERS = _set("avg count log max mean min n no num number sum total")
_TIMES = _set("at created date datetime day hour time times timestamp ts updated")
_AMOUNT_ENDINGS = ("wgt", "cnt", "amt", "qty", "pct")
_CODED = re.compile(r"^c(at)?_?\d+$", re.IGNORECASE)
_COUNTED = re.compile(r"^(i|int|n|num)_?\d+$", re.IGNORECASE)


def words_of(name: str) -> list[str]:
    """The words of a column name, in lower case.

    >>> words_of("siteCategory_ID"), words_of("hours-per-week")
    (['site', 'category', 'id'], ['hours', 'per', 'week'])
    """
    spaced = re.sub(r"([a-z0-9])([A-Z])", r"\1 \2", name)
    return re.findall(r"[a-z]+|\d+", spaced.lower())


def names_identifier(name: str) -> bool:
    """Whether the name says that whole numbers in the column stand for things.

    >>> [n for n in ("user_id", "ip", "C14", "site_2", "user_age", "num_items", "item_affinity") if names_identifier(n)]
    ['user_id', 'ip', 'C14', 'site_2']
    """
    if _CODED.match(name):
        return True
    return _last_word(name) in _IDENTIFIERS and not names_amount(name)


def names_amount(name: str) -> bool:
    """Whether the name says that numbers in the column are amounts, which have an order.

    >>> [n for n in ("age", "fnlwgt", "device_count", "hours-per-week", "I3", "num_items") if names_amount(n)]
    ['age', 'fnlwgt', 'device_count', 'hours-per-week', 'I3', 'num_items']
    """
    words, last = words_of(name), _last_word(name)
    if _COUNTED.match(name) or "per" in words or last in _AMOUNTS or last.endswith(_AMOUNT_ENDINGS):
        return True
    return len(words) > 1 and words[0] in _COUNTERS and last not in ("id", "ids", "hash", "code", "key")


def _last_word(name: str) -> str:
    """The last word that is not a number; a plural counts as its singular when only that is known."""
    word = next((w for w in reversed(words_of(name)) if not w.isdigit()), "")
    singular = word.removesuffix("s")
    return singular if word not in _IDENTIFIERS | _AMOUNTS and singular in _IDENTIFIERS else word


def names_time(name: str) -> bool:
    """Whether the name says that whole numbers in the column are moments.

    >>> [n for n in ("timestamp", "click_time", "created_at", "daytime") if names_time(n)]
    ['timestamp', 'click_time', 'created_at']
    """
    words = words_of(name)
    return bool(words) and words[-1] in _TIMES
