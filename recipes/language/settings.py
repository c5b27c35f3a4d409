"""Settings of a recipe given from Python, `{"data.batch": 4}`: the same as `--set data.batch=4`."""

import json
import math
import numbers
import os
from collections.abc import Mapping, Sequence
from typing import Any

from crossband.registry import CrossbandError

PLAIN = "numbers, text, true or false, None, and lists and mappings of these"


def setting_texts(settings: Mapping[str, Any] | Sequence[str]) -> tuple[str, ...]:
    """Settings as `key=value` texts, whose values are YAML; texts stay as they are.

    Raises CrossbandError, naming the setting, where a value is not plain.
    """
    if not isinstance(settings, Mapping):
        if isinstance(settings, str):
            raise CrossbandError(f"settings are a mapping, got `{settings}`", hint='write `settings={"data.batch": 4}`')
        return tuple(settings)
    # JSON is YAML, too
    return tuple(f"{key}={json.dumps(_plain(value, key), ensure_ascii=False)}" for key, value in settings.items())


def _plain(value: Any, key: str) -> Any:
    """A value as JSON can hold it."""
    match value:
        case None | bool() | str():
            return value
        case numbers.Integral():  # that of NumPy, too
            return int(value)
        case numbers.Real() if math.isfinite(value):
            return float(value)
        case os.PathLike():
            return os.fspath(value)
        case Mapping():
            return {str(name): _plain(item, f"{key}.{name}") for name, item in value.items()}
        case list() | tuple():
            return [_plain(item, key) for item in value]
    found = f"{value}" if isinstance(value, numbers.Real) else type(value).__name__
    raise CrossbandError(f"settings: `{key}` is no plain value but {found}", hint=f"settings are {PLAIN}")
