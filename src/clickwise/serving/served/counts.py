"""What the values of one feature look like, counted in one pass: `IdCounts` and `NumberCounts`."""

from __future__ import annotations

import numpy as np

from clickwise.features.sampling import BottomK, quantile_cuts
from clickwise.schema import MISSING, OUT_OF_VOCABULARY

_MOST_IDS = 200
_NUMBERS_KEPT = 50_000
_BUCKETS = 10
QUANTILES = (0.05, 0.5, 0.95)


class IdCounts:
    """Of a field.

    Args:
        num_ids: that it has.
    """

    def __init__(self, num_ids: int) -> None:
        self._num_ids = num_ids
        self.rows = 0
        self._missing = 0
        self.of_id = np.zeros(num_ids, np.int64)

    def add(self, ids: np.ndarray) -> None:
        """Ids [n, length] inside the field; -1 where a slot is empty.

        Raises:
            ValueError: an id that the field does not have.
        """
        if ids.size and not -1 <= int(ids.min()) <= int(ids.max()) < self._num_ids:
            raise ValueError(f"has ids that are not in [0, {self._num_ids})")
        self.rows += len(ids)
        self._missing += int((ids <= MISSING).all(1).sum())
        self.of_id += np.bincount(ids[ids >= 0], minlength=self._num_ids)

    @property
    def missing(self) -> float:
        """Share of the rows without a value."""
        return self._missing / max(self.rows, 1)

    @property
    def out_of_vocabulary(self) -> float:
        """Share of the values that are of none that training kept."""
        filled = int(self.of_id[OUT_OF_VOCABULARY:].sum())
        return float(self.of_id[OUT_OF_VOCABULARY]) / max(filled, 1)

    def beside(self, served: IdCounts) -> tuple[np.ndarray, np.ndarray]:
        """Counts of here and of `served` by bucket: the most frequent ids of here, and all others together."""
        count = min(_MOST_IDS, self._num_ids)
        most = np.argpartition(-self.of_id, count - 1)[:count]
        mine, theirs = self.of_id[most], served.of_id[most]
        rest = self.of_id.sum() - mine.sum(), served.of_id.sum() - theirs.sum()
        return np.append(mine, rest[0]), np.append(theirs, rest[1])


class NumberCounts:
    """Of a dense feature.

    Args:
        missing: the number that stands for a missing value.
    """

    def __init__(self, missing: float) -> None:
        self._stands_for = np.float32(missing)
        self.rows = 0
        self._missing = 0
        self._sample = BottomK(_NUMBERS_KEPT)

    def add(self, numbers: np.ndarray) -> None:
        """Numbers [n] float32, as the model is given them."""
        self.rows += len(numbers)
        self._missing += int((numbers == self._stands_for).sum())
        self._sample.add(numbers.astype(np.float64))

    @property
    def missing(self) -> float:
        """Share of the rows without a value, or with exactly the number that stands for it."""
        return self._missing / max(self.rows, 1)

    def quantiles(self) -> list[float]:
        """At `QUANTILES`."""
        ordered = self._sample.sorted_values()
        return [float(ordered[min(int(q * len(ordered)), len(ordered) - 1)]) for q in QUANTILES] if len(ordered) else []

    def beside(self, served: NumberCounts) -> tuple[np.ndarray, np.ndarray]:
        """Counts of here and of `served` by bucket: equal shares of the numbers of here."""
        mine, theirs = self._sample.sorted_values(), served._sample.sorted_values()
        cuts = np.unique(quantile_cuts(mine, _BUCKETS))
        places = (np.searchsorted(cuts, numbers, side="right") for numbers in (mine, theirs))
        one, other = (np.bincount(place, minlength=len(cuts) + 1) for place in places)
        return one, other
