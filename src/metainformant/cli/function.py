"""The FUNCTION argument, `module:name` or `path/to/file.py:name`, and its import."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import click

from .function_check import refuse_unfit

Function = Callable[[Any], Any]
# In the name of a module that is read from a file, if another one has its name.
UNTAKEN = "_metainformant_"


def parts_of(spec: str) -> tuple[str, str]:
    """Return the module or file, and the name in it.

    Raises:
        click.UsageError: if `spec` has another form.
    """
    place, _, name = spec.rpartition(":")
    if not (place and name):
        is_input = Path(spec).is_file() and not spec.endswith(".py")
        hint = "; FUNCTION comes first, INPUTs after it" if is_input else ""
        raise click.UsageError(
            f"FUNCTION {spec!r} must be module:name or path/to/file.py:name, "
            f"for example string:capwords or examples/sequences.py:profile{hint}"
        )
    return place, name


def load_function(spec: str) -> Function:
    """Import what `spec` names.

    The current directory is importable, and so is the directory of a file that is named.

    Raises:
        click.UsageError: if there is no such function; the message says what is wrong with it.
    """
    place, name = parts_of(spec)
    sys.path.insert(0, str(Path.cwd()))
    module = _load_file(place) if place.endswith(".py") else _load_module(place)
    found: Any = module
    for part in name.split("."):
        try:
            found = getattr(found, part)
        except AttributeError:
            raise click.UsageError(f"{place} has no {name!r}; {_hint(module, name)}") from None
    if not callable(found):
        raise click.UsageError(
            f"{spec} is not a function but {type(found).__name__}; {_hint(module, name)}"
        )
    refuse_unfit(spec, found)
    return found  # type: ignore[no-any-return]  # callable() can't say with what


def _load_file(place: str) -> ModuleType:
    path = Path(place)
    if not path.is_file():
        raise click.UsageError(f"there is no file {place!r}; check the path before the colon")
    sys.path.insert(0, str(path.resolve().parent))
    # A file called json.py must not take the place of a module that others import.
    name = path.stem if path.stem not in sys.modules else f"{UNTAKEN}{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise click.UsageError(f"{place!r} can't be imported; is it a Python file?")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    _guard(place, lambda: spec.loader.exec_module(module) if spec.loader else None)
    return module


def _load_module(place: str) -> ModuleType:
    if "/" in place or place.startswith("."):
        raise click.UsageError(f"{place!r} is not a module; the name of a file must end in .py")
    _guard(place, lambda: importlib.import_module(place))
    return sys.modules[place]


def _guard(place: str, load: Callable[[], object]) -> None:
    """Turn whatever goes wrong in an import into one line."""
    try:
        load()
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # a script may well raise SystemExit
        missing = error.name if isinstance(error, ModuleNotFoundError) else None
        if missing and f"{place}.".startswith(f"{missing}."):
            reason = f"there is no module {missing!r} in the current directory or installed"
            file = f"{place.replace('.', '/')}.py"
            hint = f"; did you mean {file}?" if Path(file).exists() else "; check the name"
            raise click.UsageError(reason + hint) from None
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        import traceback  # slow to import, and needed only here

        frames = traceback.extract_tb(error.__traceback__)
        own = [frame for frame in frames if not frame.filename.startswith("<frozen")]
        where = f" ({own[-1].filename}, line {own[-1].lineno})" if len(own) > 2 else ""
        fix = f"; install {missing!r} or run in the environment that has it" if missing else ""
        raise click.UsageError(f"importing {place!r} failed: {reason}{where}{fix}") from None


def _hint(module: ModuleType, name: str) -> str:
    public = [key for key, value in vars(module).items() if callable(value) and key[0] != "_"]
    import difflib  # needed only to word this error

    close = difflib.get_close_matches(name, public, n=3)
    if close:
        return f"did you mean {' or '.join(repr(match) for match in close)}?"
    own = [key for key in public if getattr(module, key).__module__ == module.__name__]
    listed = sorted(own or public)
    more = ", ..." if len(listed) > 10 else ""
    return f"its functions are: {', '.join(listed[:10])}{more}" if listed else "it has no functions"
