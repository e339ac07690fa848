"""`Store`: a folder of numbered versions, and the file that says which of them answer.

store/
  1/ 2/ ...    versions, each a sealed folder that `clickwise export` wrote
  live.json    a `Traffic`; replaced whole
"""

from __future__ import annotations

import fcntl
import json
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from clickwise.atomic import disk_errors, whole_file, whole_folder
from clickwise.config import build, to_data
from clickwise.errors import BundleError, ConfigError
from clickwise.sealed import LIVE, MANIFEST, MANIFEST_CHECKSUM, is_sealed
from clickwise.serving.traffic import Traffic
from clickwise.serving.version import VERSION

_LOCK = ".lock"
_NUMBER = re.compile(r"[1-9][0-9]{0,8}")
_MAX_LIVE_BYTES = 1 << 20


class Store:
    """Versions by number. Several processes may read and change one at the same time.

    Args:
        folder: it need not be there yet; what is published makes it.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)

    @staticmethod
    def is_at(folder: Path) -> bool:
        """Whether there is a store at `folder`."""
        return (folder / LIVE).is_file()

    def versions(self) -> tuple[int, ...]:
        """Numbers of what was published, rising."""
        if not self.folder.is_dir():
            return ()
        there = (path for path in self.folder.iterdir() if _NUMBER.fullmatch(path.name) and not path.is_symlink())
        return tuple(sorted(int(path.name) for path in there if is_sealed(path)))

    def folder_of(self, number: int) -> Path:
        """Where a version is.

        Raises:
            BundleError: there is no such version.
        """
        folder = self.folder / str(number)
        if not _NUMBER.fullmatch(str(number)) or folder.is_symlink() or not is_sealed(folder):
            there = ", ".join(map(str, self.versions())) or "none"
            raise BundleError(f"{self.folder}: has no version {number}; there are: {there}")
        return folder

    def traffic(self) -> Traffic | None:
        """Who answers; None: nothing was published.

        Raises:
            BundleError: live.json is damaged.
        """
        path = self.folder / LIVE
        try:
            if path.stat().st_size > _MAX_LIVE_BYTES:
                raise BundleError(f"{path}: is larger than {_MAX_LIVE_BYTES >> 20} MiB; publish again")
            return build(Traffic, json.loads(path.read_bytes()))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, RecursionError, ConfigError) as error:
            raise BundleError(f"{path}: cannot be read: {error}; remove it and publish again") from None

    def stamp(self) -> tuple[int, ...]:
        """Another one whenever live.json was replaced."""
        try:
            found = (self.folder / LIVE).stat()
        except OSError:
            return ()
        return found.st_mtime_ns, found.st_ino, found.st_size

    def add(self, folder: str | Path) -> int:
        """Copy a version into the store, whole, under the next number, which is given back. It answers nothing yet.

        Raises:
            BundleError: `folder` is no version, or is damaged.
            DataError: the store cannot be written to.
        """
        source = Path(folder)
        names = [*VERSION.verify(source)["files"], MANIFEST, MANIFEST_CHECKSUM]
        with self._locked():
            number = max(self._taken(), default=0) + 1
            with whole_folder(self.folder / str(number)) as new:
                for name in names:
                    (new / name).parent.mkdir(parents=True, exist_ok=True)
                    shutil.copyfile(source / name, new / name)
                VERSION.verify(new)
        return number

    def change(self, made: Callable[[Traffic | None], Traffic]) -> Traffic:
        """Replace live.json by what `made` makes of it; the new one.

        Raises:
            BundleError: one of its versions is not there.
            DataError: the store cannot be written to.
        """
        with self._locked():
            new = made(self.traffic())
            for number in new.numbers:
                self.folder_of(number)
            with whole_file(self.folder / LIVE) as file:
                file.write_text(json.dumps(to_data(new), indent=2) + "\n", encoding="utf-8")
        return new

    def lead(self, number: int) -> Traffic:
        """Let a version answer every request; raises what `change` does."""
        return self.change(lambda old: Traffic(live=number) if old is None else old.led_by(number))

    def roll_back(self) -> Traffic:
        """Go one step back, as `Traffic.back`: a trial ends, or else the version that was live before answers every
        request; raises what `change` does.

        Raises:
            ConfigError: there is neither.
        """
        return self.change(lambda old: self._published(old).back())

    def try_out(self, number: int, share: float) -> Traffic:
        """Give a version a share of the requests, in (0, 1); raises what `change` does."""
        return self.change(lambda old: self._published(old).with_second(number, share))

    def shadow(self, number: int) -> Traffic:
        """Let a version score what the live one scores, and answer nothing; raises what `change` does."""
        return self.change(lambda old: self._published(old).with_shadow(number))

    def _published(self, traffic: Traffic | None) -> Traffic:
        if traffic is None:
            raise BundleError(f"{self.folder}: no version is live; `clickwise publish ... {self.folder}` makes one so")
        return traffic

    def _taken(self) -> list[int]:
        return [int(path.name) for path in self.folder.iterdir() if _NUMBER.fullmatch(path.name)]

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Alone among the processes that change this store."""
        with disk_errors(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            file = (self.folder / _LOCK).open("w")
        with file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield
