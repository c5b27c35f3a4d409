"""Hold what is read back to its format: weights, states, logs and more may come from a stranger or from a full disk.

Whoever reads a file back holds what is in it to one of the formats of `crossband.recipes.basics.formats`, before a
value of it is used: `checked(parsed(text, file), FORMAT, file)`. `Damaged` names the first field that is wrong.
"""

import functools
import itertools
import json
import math
import os
import sys
import zipfile
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple

from crossband.graphs.language.files import FileError, PathLike, open_file
from crossband.recipes.basics.formats import Format
from crossband.registry import CrossbandError, explain, show

if TYPE_CHECKING:
    import torch

DEEPEST = 40  # lists and mappings within each other
TYPE_WORDS = {"real": "a number", "tensor": "a tensor", "random": "the state of a random generator"}


class CheckpointError(CrossbandError):
    """A file is no checkpoint of crossband, is damaged, or belongs to another network."""


class Damaged(CheckpointError):
    """A file that crossband reads back holds something else than it writes there."""


# ---------------------------------------------------------------------- formats of what there is


def like(value: Any) -> dict[str, Any]:
    """The schema of what is like a value that is at hand, such as the weights of a network.

    Mappings have the same keys, tensors the same sizes. Their type is the same, but that any floating-point type stands
    for another one. Lists may be of any length and hold anything.
    """
    match value:
        case bool() | str() | None:
            return {"const": value}
        case int():
            return {"type": "integer"}
        case float():
            return {"type": "real"}
        case dict():
            own = {name: like(each) for name, each in value.items()}
            return {"type": "object", "required": list(own), "properties": own, "additionalProperties": False}
        case list() | tuple():
            return {"type": "array"}
    if _is_random(value):
        return {"type": "random"}
    return {"type": "tensor", "shape": list(value.shape), "dtype": _kind(value.dtype)}


def _kind(dtype: "torch.dtype") -> str:
    return "floating" if dtype.is_floating_point else str(dtype).removeprefix("torch.")


# ---------------------------------------------------------------------- reading and checking


def parsed(text: str | bytes, file: object, hint: str | None = None) -> Any:
    """What a JSON text holds. Raises Damaged, naming the file."""
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise Damaged(f"{file}: damaged: not JSON: {error.msg}", hint=hint) from None
    except (ValueError, RecursionError):  # no UTF-8, a number of thousands of digits, thousands of brackets
        raise Damaged(f"{file}: damaged: not JSON as crossband writes it", hint=hint) from None


def checked(data: Any, format: Format, file: object, *, within: str = "", fault: str = "damaged") -> Any:
    """The data as they are, where they have the format. Raises Damaged, which names the file and the first wrong field.

    `within` is where in the file the data lie, `fault` what the file is where they are wrong.
    """
    if _is_deep(data):
        raise Damaged(f"{file}: {fault}: lists and mappings are nested too deep", hint=format.hint)
    for error in _validators()(dict(format.schema)).iter_errors(data):
        path = ".".join(filter(None, [within, *map(str, error.absolute_path)]))
        raise Damaged(f"{file}: {fault}: {f'`{path}`' if path else 'it'} {_words(error)}", hint=format.hint)
    return data


def unpickled(file: PathLike, what: str, *, device: str = "cpu", hint: str | None = None) -> Any:
    """What a file that `torch.save` wrote holds: tensors and plain data. Raises Damaged, in whose words it is not
    `what`, and FileError.

    Nothing in it is executed. An archive that unpacks to more than the file has bytes is refused: `torch.save` never
    compresses.
    """
    import torch

    try:
        with open_file(file) as stream:
            if zipfile.is_zipfile(stream) and _size_of(stream) > os.fstat(stream.fileno()).st_size:
                raise Damaged(f"{file}: not {what}: it is compressed, as torch does to none", hint=hint)
            stream.seek(0)
            return torch.load(stream, map_location=device, weights_only=True)
    except CrossbandError:
        raise
    except OSError as error:
        raise FileError.of(file, error) from None
    except Exception:  # odd bytes make the reader of pickles stumble in every way there is
        reason = "it is damaged, or holds more than tensors and plain data"
        raise Damaged(f"{file}: not {what}: {reason}", hint=hint) from None


def _size_of(archive: BinaryIO) -> int:
    """The bytes that an archive unpacks to."""
    with zipfile.ZipFile(archive) as parts:
        return sum(part.file_size for part in parts.infolist())


def _is_deep(data: Any) -> bool:
    """Whether lists and mappings lie in each other more than DEEPEST times. Walks level by level, each thing once."""
    level = [data]
    for _ in range(DEEPEST):
        inner = (
            each.values() if isinstance(each, dict) else each for each in level if isinstance(each, dict | list | tuple)
        )
        level = list({id(child): child for children in inner for child in children}.values())
        if not level:
            return False
    return True


# ---------------------------------------------------------------------- the words of the schemas


@functools.cache
def _validators() -> Any:
    from jsonschema import Draft202012Validator, validators

    checker = Draft202012Validator.TYPE_CHECKER.redefine_many(
        {
            "array": lambda _, value: isinstance(value, list | tuple),
            "integer": lambda _, value: type(value) is int,
            "number": lambda _, value: _is_number(value) and math.isfinite(value),
            "real": lambda _, value: _is_number(value) and not math.isnan(value),
            "tensor": lambda _, value: _is_tensor(value),
            "random": lambda _, value: _is_random(value),
        }
    )
    words = {
        "const": _const_faults,
        "shape": _shape_faults,
        "dtype": _dtype_faults,
        "atleast": _atleast_faults,
        "increasing": _increasing_faults,
    }
    words |= {name: _of_plain(Draft202012Validator.VALIDATORS[name]) for name in ("const", "enum")}
    return validators.extend(Draft202012Validator, words, type_checker=checker)


def _of_plain(keyword: Callable[..., Any]) -> Callable[..., Iterator[Any]]:
    """A keyword that compares values with others, which tensors cannot be: they are always wrong."""

    def faults(own: Any, wanted: Any, value: Any, schema: Any) -> Iterator[Any]:
        items = value if isinstance(value, list | tuple) else [value]
        if any(type(item) not in (bool, int, float, str, type(None)) for item in items):
            yield _fault("must be plain")
        else:
            yield from keyword(own, wanted, value, schema)

    return faults


def _is_number(value: Any) -> bool:
    """Whether it is a number that a float can stand for: no true or false, no whole number of a thousand digits."""
    return type(value) is float or (type(value) is int and value.bit_length() < sys.float_info.max_exp)


def _is_tensor(value: Any) -> bool:
    """Whether it is a plain tensor in memory, or the description of one in the header of a weights file."""
    import torch

    if not isinstance(value, torch.Tensor):
        return isinstance(value, TensorInFile)
    return value.layout is torch.strided and not value.is_quantized and value.device.type == "cpu"


def _is_random(value: Any) -> bool:
    import torch

    if not (isinstance(value, torch.Tensor) and _is_tensor(value) and value.dtype == torch.uint8):
        return False
    try:
        torch.Generator().set_state(value)
    except (RuntimeError, TypeError):
        return False
    return True


class TensorInFile(NamedTuple):
    """A tensor that lies in a file, before it is read: its sizes, and its type or None where torch has no such one."""

    shape: Sequence[int]
    dtype: "torch.dtype | None"


def _const_faults(_: Any, wanted: Any, value: Any, __: Any) -> Iterator[Any]:
    if type(value) is not type(wanted) or value != wanted:  # of one type first: a tensor is not compared as a whole
        yield _fault("")


def _shape_faults(_: Any, shape: Sequence[int | None], value: Any, __: Any) -> Iterator[Any]:
    found = list(value.shape)
    if len(found) != len(shape) or any(wanted not in (None, size) for wanted, size in zip(shape, found, strict=True)):
        yield _fault(f"must be a tensor of {_sizes(shape)}, got one of {_sizes(found)}")


def _dtype_faults(_: Any, kind: str, value: Any, __: Any) -> Iterator[Any]:
    if value.dtype is None or _kind(value.dtype) != kind:
        found = "another" if value.dtype is None else str(value.dtype).removeprefix("torch.")
        yield _fault(f"must be a tensor of {'a floating-point type' if kind == 'floating' else kind}, got {found}")


def _atleast_faults(_: Any, least: float, value: Any, __: Any) -> Iterator[Any]:
    if not (math.isfinite(found := float(value)) and found >= least):
        yield _fault(f"must be at least {least}, got {found}")


def _increasing_faults(_: Any, wanted: bool, value: Any, __: Any) -> Iterator[Any]:
    if wanted and not all(low < high for low, high in itertools.pairwise(value)):
        yield _fault("must increase")


def _fault(message: str) -> Any:
    from jsonschema import ValidationError

    return ValidationError(message)


def _sizes(shape: Sequence[int | None]) -> str:
    return "x".join("?" if size is None else str(size) for size in shape) or "one number"


class _Seen:
    """What a message shows of a value: never all of a large one."""

    def __init__(self, value: Any) -> None:
        self._value = value

    def __repr__(self) -> str:
        value = self._value
        if value is None or type(value) in (bool, float, str) or _is_number(value):
            return show(value)
        if isinstance(value, dict):
            return "a mapping"
        if isinstance(value, list | tuple):
            plain = len(value) <= 8 and all(item is None or _is_number(item) for item in value)
            return show(value) if plain else "a list"
        return f"a {type(value).__name__}"


def _words(error: Any) -> str:
    """A ValidationError in words that follow the name of the field."""
    found = _Seen(error.instance)
    if error.validator == "required":
        return f"has no `{next(name for name in error.validator_value if name not in error.instance)}`"
    if title := error.schema.get("title"):
        return f"must be {title}, got {found}"
    match error.validator:
        case "additionalProperties":
            odd = next(name for name in error.instance if name not in error.schema["properties"])
            return f"has `{odd}`, which does not belong there"
        case "type":
            kinds = [error.validator_value] if isinstance(error.validator_value, str) else error.validator_value
            if own := [TYPE_WORDS[kind] for kind in kinds if kind in TYPE_WORDS]:
                return f"must be {' or '.join(own)}, got {found}"
        case "shape" | "dtype" | "atleast" | "increasing":
            return error.message
        case "uniqueItems":
            return "has the same twice"
        case "maxLength":
            return f"must have at most {error.validator_value:,} letters, has {len(error.instance):,}"
        case "const":
            return f"must be {_Seen(error.validator_value)}, got {found}"
    error.instance = found
    return explain(error)[0]
