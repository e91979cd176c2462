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
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_RESET = "x-ratelimit-reset"  # by itself, or with a hyphen and the kind of limit
_REMAINING = "x-ratelimit-remaining"
# Numbers above this are seconds since the epoch: as a duration it would be 30 years.
_LEAST_EPOCH = 1e9


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
        milliseconds = _number(headers.get("retry-after-ms"))
        seconds = None if milliseconds is None else milliseconds / 1000
        if seconds is None:
            seconds = _retry_after(headers.get("retry-after"), now)
        if seconds is None:
            seconds = _reset(headers, now)
        if seconds is not None and math.isfinite(seconds):
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


def _retry_after(value: str | None, now: float) -> float | None:
    """Read seconds, or a date of HTTP."""
    if value is None:
        return None
    seconds = _number(value)
    if seconds is not None:
        return seconds
    from email.utils import parsedate_to_datetime  # slow to import

    try:
        return parsedate_to_datetime(value).timestamp() - now
    except (TypeError, ValueError, OverflowError):
        return None


def _reset(headers: Mapping[str, str], now: float) -> float | None:
    """Read when the limits are full again of which nothing remains; of all, if none says that."""
    resets = {name[len(_RESET) :]: at for name, at in headers.items() if name.startswith(_RESET)}
    # The one without a kind is of calls: where some remain it is another limit that was reached.
    is_used_up = headers.get(_REMAINING, "0") == "0"
    resets = {kind: at for kind, at in resets.items() if (kind[0] == "-" if kind else is_used_up)}
    used_up = {kind: at for kind, at in resets.items() if headers.get(_REMAINING + kind) == "0"}
    times = [_duration(at, now) for at in (used_up or resets).values()]
    return max((seconds for seconds in times if seconds is not None), default=None)


def _duration(text: str, now: float) -> float | None:
    """Read `6m0s`, `120ms`, a number of seconds, or one of seconds since the epoch."""
    number = _number(text)
    if number is not None:
        return number - now if number >= _LEAST_EPOCH else number
    import re  # needed only here

    if not re.fullmatch(r"(\d+(\.\d+)?(ms|[smhd]))+", text.strip()):
        return None
    parts = re.findall(r"(\d+(?:\.\d+)?)(ms|[smhd])", text)
    return sum(float(count) * _UNITS[unit] for count, unit in parts)


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
