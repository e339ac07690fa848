"""A request to begin with, made of the golden ones."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

_CANDIDATES = 6
_UNSEEN = "unseen "
_OF_ITEMS = frozenset({"ad", "advertiser", "article", "campaign", "creative", "item", "product", "video"})


def example_of(
    requests: Sequence[Mapping[str, Any]], columns: Sequence[str], of_items: Collection[str]
) -> dict[str, Any]:
    """A user and candidates, with cells that the golden `requests` have and training saw, as far as that can be told.

    Args:
        requests: the golden ones.
        columns: of the model.
        of_items: those that are the candidates'. Where none is known to be, names tell: `ad_id`, `item_price`. Where
            these do not either, all are.
    """
    found = {name: _cells(requests, name) for name in columns}
    items = [name for name in columns if name in of_items] or [name for name in columns if _sounds_so(name)] or columns
    user = {name: cells[0] for name, cells in found.items() if cells and name not in items}
    candidates = [
        {name: found[name][place % len(found[name])] for name in items if found[name]} for place in range(_CANDIDATES)
    ]
    return {"user": user, "candidates": candidates}


def _sounds_so(name: str) -> bool:
    return name.replace("-", "_").partition("_")[0].lower() in _OF_ITEMS


def _cells(requests: Sequence[Mapping[str, Any]], name: str) -> list[Any]:
    """What a column holds in the requests, each once, in order; of numbers, the middle ones."""
    rows = [row for request in requests for row in (request.get("user") or {}, *request["candidates"])]
    cells = [cell for row in rows if (cell := _known(row.get(name))) not in (None, [])]
    found = [cell for place, cell in enumerate(cells) if cell not in cells[:place]]
    if found and all(isinstance(cell, int | float) for cell in found):
        rising = sorted(cell for cell in found if cell >= 0) or sorted(found)
        return rising[len(rising) // 3 : max(1, 2 * len(rising) // 3)] or rising
    return found


def _known(cell: Any) -> Any:
    """The cell, less what was made up to be unknown."""
    if isinstance(cell, list):
        return [each for each in cell if _known(each) is not None]
    return None if isinstance(cell, str) and cell.startswith(_UNSEEN) else cell
