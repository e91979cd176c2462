"""Fingerprints: whether the code of a function is what it was when an outcome was recorded.

Instructions, constants and names count; comments, layout, line numbers and docstrings don't. What
the function calls is not followed, and neither are globals. Bytecode differs between versions of
Python, so fingerprints of two versions say nothing about each other.
"""

from __future__ import annotations

import dis
import functools
import sys
import types
from collections.abc import Callable, Iterator
from hashlib import blake2b
from typing import Any

from .keys import encode
from .names import class_name, function_name

PYTHON = f"{sys.implementation.name} {sys.version_info[0]}.{sys.version_info[1]}"

# Instructions that differ with layout alone, or with whether the code has been run already.
_IDLE = {"NOP", "RESUME", "CACHE", "EXTENDED_ARG"}


def fingerprint(func: Callable[..., Any]) -> str:
    """Return a digest of the code of `func` as 32 hexadecimal digits; it never fails."""
    digest = blake2b(digest_size=16)
    for part in _callable(func, set()):
        digest.update(b"%d:" % len(part))
        digest.update(part)
    return digest.hexdigest()


def _callable(func: Any, seen: set[int]) -> Iterator[bytes]:
    if id(func) in seen:
        return
    seen.add(id(func))
    if isinstance(func, functools.partial):
        yield b"partial"
        for argument in func.args:
            yield from _constant(argument, seen)
        for name, argument in sorted(func.keywords.items()):
            yield name.encode()
            yield from _constant(argument, seen)
        yield from _callable(func.func, seen)
        return
    if isinstance(func, types.MethodType):
        yield class_name(type(func.__self__)).encode()
        func = func.__func__
    if isinstance(func, types.FunctionType):
        yield from _function(func, seen)
        return
    # A decorator that is an object, a class, or an object that can be called.
    wrapped = getattr(func, "__wrapped__", None)
    if callable(wrapped):
        yield from _callable(wrapped, seen)
        return
    yield b"class" if isinstance(func, type) else b"object"
    yield function_name(func).encode()
    kind = func if isinstance(func, type) else type(func)
    for name, member in sorted(vars(kind).items()):
        if isinstance(member, types.FunctionType):
            yield name.encode()
            yield from _function(member, seen)


def _function(func: types.FunctionType, seen: set[int]) -> Iterator[bytes]:
    yield from _code(func.__code__)
    for value in func.__defaults__ or ():
        yield from _constant(value, seen)
    for name, value in sorted((func.__kwdefaults__ or {}).items()):
        yield name.encode()
        yield from _constant(value, seen)
    for cell in func.__closure__ or ():
        try:
            value = cell.cell_contents
        except ValueError:  # not bound yet
            continue
        yield from _constant(value, seen)


def _constant(value: Any, seen: set[int]) -> Iterator[bytes]:
    """Tell what a function was given when it was made: code, plain values, or a type's name."""
    if isinstance(value, (types.FunctionType, types.MethodType, functools.partial)):
        yield from _callable(value, seen)
        return
    try:
        yield encode(value)
    except Exception:
        yield class_name(type(value)).encode()


def _code(code: types.CodeType) -> Iterator[bytes]:
    names = code.co_varnames, code.co_freevars, code.co_cellvars
    counts = code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount, code.co_flags & 0xF
    yield encode((names, counts))
    instructions = [each for each in dis.get_instructions(code) if each.opname not in _IDLE]
    # Jumps go to the first instruction that counts, at or behind their target.
    places: dict[int, int] = {}
    place = len(instructions)
    last = len(code.co_code)
    for number in range(len(instructions) - 1, -1, -1):
        offset = instructions[number].offset
        for between in range(offset + 2, last + 2, 2):
            places[between] = place
        place, last = number, offset
    for between in range(0, last + 2, 2):
        places[between] = place
    for each in instructions:
        value = each.argval
        yield each.opname.encode()
        if isinstance(value, types.CodeType):
            yield from _code(value)
        elif each.opcode in dis.hasjrel or each.opcode in dis.hasjabs:
            yield encode(places.get(value, -1))
        elif value is not None or each.opcode in dis.hasconst:
            yield _argument(value)


def _argument(value: Any) -> bytes:
    try:
        return encode(value)
    except TypeError:
        return repr(value).encode("utf-8", "backslashreplace")
