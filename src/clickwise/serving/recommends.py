"""`Recommends`: what the server asks for lists. Whoever starts it hands one in, because towers need torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol


class Recommends(Protocol):
    """Lists for one user at a time."""

    @property
    def name(self) -> str:
        """Digits of the checksum of what it is made of."""
        ...

    def lists(
        self,
        user: Mapping[str, Any],
        k: int,
        *,
        where: Sequence[str],
        allow: Sequence[str] | None,
        exclude: Sequence[str],
    ) -> list[dict[str, Any]]:
        """The k best items, best first: `item`, `place`, `probability`, `score`, `retrieved`.

        Raises:
            ClickwiseError: what is wrong with the request.
        """
        ...

    def why(
        self,
        user: Mapping[str, Any],
        item: str,
        k: int,
        *,
        where: Sequence[str],
        allow: Sequence[str] | None,
        exclude: Sequence[str],
    ) -> dict[str, Any]:
        """Why an item is where it is in that list; raises what `lists` does."""
        ...
