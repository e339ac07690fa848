"""`Traffic`: which version answers which request."""

from __future__ import annotations

from dataclasses import dataclass, replace
from hashlib import blake2b

from clickwise.config import require
from clickwise.errors import ConfigError

_REMEMBERED = 20
_BITS = 64


@dataclass(frozen=True, kw_only=True, slots=True)
class Traffic:
    """Versions by their numbers.

    Args:
        live: answers all requests but those of `second`.
        second: answers a share of them; None: there is none.
        share: of `second`, in (0, 1); 0 without one.
        shadow: scores what `live` scores, answers nothing; None: there is none.
        before: versions that were live, the last one last.
    """

    live: int
    second: int | None = None
    share: float = 0.0
    shadow: int | None = None
    before: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        for key, number in (("live", self.live), ("second", self.second), ("shadow", self.shadow)):
            require(number is None or number >= 1, key, number, "the number of a version, from 1")
        require(all(number >= 1 for number in self.before), "before", self.before, "numbers of versions, from 1")
        fits = 0.0 < self.share < 1.0 if self.second is not None else self.share == 0.0
        require(fits, "share", self.share, "a number in (0, 1) with a second version, 0 without one")
        for key, number in (("second", self.second), ("shadow", self.shadow)):
            require(number != self.live, key, number, f"another version than {self.live}, which is live")

    @property
    def numbers(self) -> tuple[int, ...]:
        """All versions that have something to do, the live one first."""
        return tuple(n for n in dict.fromkeys((self.live, self.second, self.shadow)) if n is not None)

    def number_for(self, request_id: bytes) -> int:
        """Who answers a request: the same id has the same answer in every process and at every time."""
        if self.second is None:
            return self.live
        digest = blake2b(request_id, digest_size=_BITS // 8).digest()
        return self.second if int.from_bytes(digest) < self.share * 2.0**_BITS else self.live

    def led_by(self, number: int) -> Traffic:
        """Where `number` answers every request; what was live is remembered."""
        if number == self.live:
            return Traffic(live=number, before=self.before)
        return Traffic(live=number, before=(*self.before, self.live)[-_REMEMBERED:])

    def back(self) -> Traffic:
        """One step back: without the share and the shadow that are tried out; where there are none, the version that
        was live before answers every request.

        Raises:
            ConfigError: nothing is tried out, and there was no version before.
        """
        if self.second is not None or self.shadow is not None:
            return Traffic(live=self.live, before=self.before)
        if not self.before:
            raise ConfigError("rollback", f"version {self.live} is the first that was live; name another one")
        return Traffic(live=self.before[-1], before=self.before[:-1])

    def with_second(self, number: int, share: float) -> Traffic:
        """With a share of the requests for `number`."""
        return replace(self, second=number, share=share)

    def with_shadow(self, number: int) -> Traffic:
        """With `number` scoring in the shadow."""
        return replace(self, shadow=number)
