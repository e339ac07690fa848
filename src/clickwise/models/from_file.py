"""Models of the user's own: a class in a Python file, named `FILE:CLASS`."""

from __future__ import annotations

import dataclasses
import hashlib
import inspect
import sys
import traceback
from importlib.abc import SourceLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path
from types import ModuleType
from typing import Any

from clickwise.errors import ConfigError, clipped, nearest
from clickwise.models.ranker import Ranker
from clickwise.registry import models


def model_from_file(reference: str) -> str:
    """Run a Python file and register its class; gives the name of the model, `my_file.py:MyModel`: without a folder.

    The file runs as a module of a private name. The same content runs once in a process; changed content takes the
    place of what had the name. Whether the file uses `@register_model` makes no difference.

    Args:
        reference: `path/to/my_file.py:MyModel`.

    Raises:
        ConfigError: no such file or class, a file that does not run (with its line), a class that is no model.
    """
    file, colon, class_name = reference.rpartition(":")
    if not colon or not file or not class_name.isidentifier():
        raise ConfigError("model", f"got {clipped(reference)}, allowed is FILE:CLASS, such as my_file.py:MyModel")
    path = Path(file)
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise ConfigError("model", f"{path}: no such file") from None
    except OSError as error:
        raise ConfigError("model", f"{path}: cannot be read: {error.strerror}") from None
    model_class = _model_class(path, _module(path, content), class_name)
    name = f"{path.name}:{class_name}"
    models.replace(name, model_class)
    return name


class _Source(SourceLoader):
    """Runs exactly the bytes that were read, and writes no compiled file beside the user's."""

    def __init__(self, path: Path, content: bytes) -> None:
        self._path, self._content = path, content

    def get_filename(self, fullname: str) -> str:
        return str(self._path)

    def get_data(self, path: str) -> bytes:
        return self._content


def _module(path: Path, content: bytes) -> ModuleType:
    """The module of a file; it stays in `sys.modules`, where dataclasses look their annotations up."""
    name = f"_clickwise_model_{hashlib.sha256(str(path.resolve()).encode() + content).hexdigest()[:24]}"
    if name in sys.modules:
        return sys.modules[name]
    loader = _Source(path, content)
    spec = spec_from_loader(name, loader)
    assert spec is not None
    module = sys.modules[name] = module_from_spec(spec)
    try:
        with models.unchanged():
            loader.exec_module(module)
    except Exception as error:
        del sys.modules[name]
        place = f"{path}, line {_line_of(error, str(path))}"
        raise ConfigError("model", f"{place}: {type(error).__name__}: {error}") from error
    return module


def _line_of(error: Exception, file: str) -> int:
    """The line of `file` that an error comes from."""
    if isinstance(error, SyntaxError) and error.filename == file:
        return error.lineno or 1
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == file]
    return (lines[-1] if lines else None) or 1


def _model_class(path: Path, module: ModuleType, name: str) -> Any:
    """The class `name` that the module defines, known to be a model that can be built."""
    own = {key: value for key, value in vars(module).items() if _is_own_class(module, value)}
    if name not in own:
        known = [key for key, value in own.items() if issubclass(value, Ranker)]
        listed = ", ".join(known) or "none"
        raise ConfigError("model", f"{path}: defines no class {name!r}{nearest(name, known)}; its models are {listed}")
    found = own[name]
    place = f"{path}: {name}"
    if not issubclass(found, Ranker):
        raise ConfigError("model", f"{place} is not a Ranker; derive it: class {name}(clickwise.models.Ranker)")
    if not dataclasses.is_dataclass(vars(found).get("Config")) or not _is_own_class(module, found.Config):
        raise ConfigError("model", f"{place} has no Config of its own; give it a nested frozen dataclass Config")
    if inspect.isabstract(found):
        raise ConfigError("model", f"{place} has no forward(self, batch), which gives logits [B]")
    return found


def _is_own_class(module: ModuleType, value: object) -> bool:
    return isinstance(value, type) and value.__module__ == module.__name__
