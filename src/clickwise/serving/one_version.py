"""`OneVersion`: a single version folder, served as a store with one version would be."""

from __future__ import annotations

from pathlib import Path

from clickwise.errors import BundleError, ConfigError
from clickwise.serving.traffic import Traffic


class OneVersion:
    """Has what `Live` asks of a `Store`; its version is number 1, and nothing about it changes.

    Args:
        folder: that `clickwise export` wrote.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)

    def versions(self) -> tuple[int, ...]:
        """The one."""
        return (1,)

    def folder_of(self, number: int) -> Path:
        """Where it is.

        Raises:
            BundleError: it is not number 1.
        """
        if number != 1:
            raise BundleError(f"{self.folder}: is one version, served as number 1; there is no number {number}")
        return self.folder

    def traffic(self) -> Traffic:
        """It answers everything."""
        return Traffic(live=1)

    def stamp(self) -> tuple[int, ...]:
        """Always the same."""
        return (1,)

    def lead(self, number: int) -> Traffic:
        """It leads already.

        Raises:
            BundleError: another version is asked for.
        """
        self.folder_of(number)
        return self.traffic()

    def roll_back(self) -> Traffic:
        """There is nothing to go back to.

        Raises:
            ConfigError: always.
        """
        raise ConfigError("rollback", f"{self.folder} is one version; serve a store, which `clickwise publish` makes")
