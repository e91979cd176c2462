"""Functions that can give no results are refused before anything is started."""

from __future__ import annotations

import functools
import inspect
from typing import Any

import click

_POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


def refuse_unfit(spec: str, function: Any) -> None:
    """Refuse a function that runs nothing when it is called, or can't be called with one record.

    Raises:
        click.UsageError: with the fix.
    """
    _check_kind(spec, function)
    try:
        # A decorator may supply arguments that the function it wraps needs.
        signature = inspect.signature(function, follow_wrapped=False)
    except (TypeError, ValueError):  # some written in C do not say
        return
    _check_parameters(spec, function, signature)


def choose_backend(spec: str, function: Any, chosen: str | None) -> str:
    """Return the kind of workers: that which was chosen, if it suits the function.

    Raises:
        click.UsageError: if it does not.
    """
    is_async = inspect.iscoroutinefunction(_called(function))
    if chosen is None:
        return "asyncio" if is_async else "thread"
    if is_async and chosen != "asyncio":
        raise click.UsageError(
            f"{spec} is an async function, which --backend {chosen} can't await; leave that out"
        )
    if not is_async and chosen == "asyncio":
        raise click.UsageError(
            f"{spec} is not an async function, and --backend asyncio awaits it; leave that out"
        )
    return chosen


def _called(function: Any) -> Any:
    """Return what is called in the end, whose kind matters."""
    while isinstance(function, functools.partial):
        function = function.func
    if inspect.isroutine(function) or inspect.isclass(function):
        return function
    return type(function).__call__


def _check_kind(spec: str, function: Any) -> None:
    called = _called(function)
    if inspect.isasyncgenfunction(called):
        raise click.UsageError(
            f"{spec} is an async generator function, whose values nobody would take; "
            "return a list instead of yielding"
        )
    if inspect.isgeneratorfunction(called):
        raise click.UsageError(
            f"{spec} is a generator function, whose values nobody would take; "
            "return a list instead of yielding"
        )


def _check_parameters(spec: str, function: Any, signature: inspect.Signature) -> None:
    name = getattr(function, "__name__", "function")
    parameters = signature.parameters.values()
    required = [
        parameter.name
        for parameter in parameters
        if parameter.kind in _POSITIONAL and parameter.default is parameter.empty
    ]
    by_name = [
        parameter.name
        for parameter in parameters
        if parameter.kind is parameter.KEYWORD_ONLY and parameter.default is parameter.empty
    ]
    if len(required) > 1 and required[0] == "self":
        raise click.UsageError(
            f"{spec} is a method, which is called with one record, but needs an object too; "
            f"name a function that makes the object and calls {name}"
        )
    if len(required) > 1 or by_name:
        needed = [*required, *by_name]
        others = " and ".join([*required[1:], *by_name])
        raise click.UsageError(
            f"{spec} needs {len(needed)} arguments ({', '.join(needed)}), but is called with one "
            f"record; give {others} a default value, or name a function of one argument that "
            f"calls {name}"
        )
    takes_any = any(
        parameter.kind in (*_POSITIONAL, parameter.VAR_POSITIONAL) for parameter in parameters
    )
    if not takes_any:
        raise click.UsageError(
            f"{spec} takes no argument, but is called with one record; give it a parameter"
        )
