"""The ways in which services say 'slow down' by an exception, and for how long.

Nothing is imported for that: what counts is how an exception looks. So it holds for requests,
httpx, aiohttp, urllib, botocore, and the clients that are made with them.
"""

from __future__ import annotations

import math
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any

# Too many requests; service unavailable; and what some services answer when they are overloaded.
_STATUSES = (429, 503, 529)
# Those that botocore itself takes for throttling, in its standard mode.
_CODES = frozenset(
    {
        "BandwidthLimitExceeded",
        "EC2ThrottledException",
        "LimitExceededException",
        "PriorRequestNotComplete",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "RequestThrottled",
        "RequestThrottledException",
        "SlowDown",
        "ThrottledException",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
        "TransactionInProgressException",
    }
)
# Those of durations as Go writes them.
_UNITS = {"d": 86400, "h": 3600, "m": 60, "s": 1, "ms": 1e-3, "\u00b5s": 1e-6, "ns": 1e-9}
# What says when to call again, the most exact first.
_RETRY_AFTER = ("retry-after-ms", "x-ms-retry-after-ms", "retry-after")
# Numbers above these are seconds and milliseconds since the epoch: as a duration the first would be
# 30 years.
_LEAST_EPOCH = 1e9
_LEAST_EPOCH_MS = 1e11


def is_push_back(error: BaseException) -> bool:
    """Return whether an exception is the answer of a service that wants fewer calls."""
    response = _get(error, "response")
    for thing in (error, response):
        for name in ("status", "status_code", "code"):
            if _is_status(_get(thing, name)):
                return True
    return isinstance(response, dict) and _is_botocores(response)


def _is_botocores(response: dict[Any, Any]) -> bool:
    code = _get_key(_get_key(response, "Error"), "Code")
    status = _get_key(_get_key(response, "ResponseMetadata"), "HTTPStatusCode")
    return (isinstance(code, str) and code in _CODES) or _is_status(status)


def _is_status(value: Any) -> bool:
    return isinstance(value, int) and value in _STATUSES  # http.HTTPStatus is an int too


def pause_of(error: BaseException, now: float | None = None) -> float | None:
    """Return for how many seconds the service wants no calls; None if it does not say.

    Args:
        error: what the call raised.
        now: the time in seconds since the epoch.
    """
    now = time.time() if now is None else now
    for headers in _headers(error):
        seconds = _retry_after(headers, now)
        if seconds is None:
            seconds = _reset(headers, now)
        if seconds is not None:
            return max(0.0, seconds)
    return None


def _headers(error: BaseException) -> Iterator[dict[str, str]]:
    """Yield the headers of the response, with names in lower case."""
    response = _get(error, "response")
    metadata = _get_key(response, "ResponseMetadata")
    for headers in (
        _get(response, "headers"), _get(error, "headers"), _get_key(metadata, "HTTPHeaders")
    ):  # fmt: skip
        lowered = _lowered(headers)
        if lowered is not None:
            yield lowered


def _lowered(headers: Any) -> dict[str, str] | None:
    try:
        return {str(name).lower(): str(value) for name, value in headers.items()}
    except Exception:  # it has none, or something else
        return None


def _retry_after(headers: Mapping[str, str], now: float) -> float | None:
    for name in _RETRY_AFTER:
        seconds = _seconds(name, headers.get(name, ""), now)
        if seconds is not None:
            return seconds
    return None


def _reset(headers: Mapping[str, str], now: float) -> float | None:
    """Return for how long the limits that are used up stay so.

    Services have several limits, of calls and of tokens, of a minute and of a month, and tell of
    all of them in each answer. Where something remains, another limit was reached.
    """
    times = []
    for name, at in headers.items():
        if _is_reset(name):
            base = name.removesuffix("-ms").removesuffix("-after")
            remaining = _number(headers.get(base.replace("reset", "remaining")))
            seconds = _seconds(name, at, now)
            if seconds is not None and (remaining is None or remaining <= 0):
                times.append(seconds)
    return max(times, default=None)


def _is_reset(name: str) -> bool:
    """Return whether a header says when a limit is full again.

    These are `x-ratelimit-reset`, also with the kind of limit before or after `reset`,
    `x-rate-limit-reset`, `ratelimit-reset`, `anthropic-ratelimit-requests-reset`. What Anthropic
    calls unified are windows of up to a week, which do not say what remains.
    """
    parts = name.replace("rate-limit", "ratelimit").split("-")
    return "ratelimit" in parts and "reset" in parts and "unified" not in parts


def _seconds(name: str, text: str, now: float) -> float | None:
    """Return how long it is until what a header says; None if it can't be read.

    That is a number of seconds or, if the name says so, of milliseconds; `6m0s` or `120ms`; or a
    time: a number of seconds or milliseconds since the epoch, a date of HTTP, or one of RFC 3339.
    """
    number = _number(text)
    if number is None:
        seconds = _duration(text)
        return _until_date(text, now) if seconds is None else seconds
    if number >= _LEAST_EPOCH:
        return (number / 1000 if number >= _LEAST_EPOCH_MS else number) - now
    return number / 1000 if name.endswith("-ms") else number


def _duration(text: str) -> float | None:
    import re  # needed only here

    parts = re.findall(r"(\d+(?:\.\d+)?)([mn\u00b5]?s|[mhd])", text)
    if not parts or "".join(map("".join, parts)) != text.strip():
        return None
    return sum(float(count) * _UNITS[unit] for count, unit in parts)


def _until_date(text: str, now: float) -> float | None:
    from datetime import UTC, datetime  # slow to import
    from email.utils import parsedate_to_datetime

    for parse in (datetime.fromisoformat, parsedate_to_datetime):
        try:
            date = parse(text.strip())
            return (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp() - now
        except (TypeError, ValueError, OverflowError):
            pass
    return None


def _number(value: str | None) -> float | None:
    try:
        number = float(value or "")
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _get(thing: Any, name: str) -> Any:
    """Return an attribute; None if there is none, or if asking for it fails."""
    try:
        return getattr(thing, name, None)
    except Exception:
        return None


def _get_key(thing: Any, name: str) -> Any:
    return thing.get(name) if isinstance(thing, dict) else None
