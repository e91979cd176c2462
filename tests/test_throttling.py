"""The ways in which services say 'slow down', as exceptions of the usual libraries have them."""

from __future__ import annotations

import email.message
import http
import io
import urllib.error
from types import SimpleNamespace
from typing import Any

import pytest

from metainformant.core.parallel.options import says_slow_down
from metainformant.core.parallel.throttling import is_push_back, pause_of


class ResponseError(Exception):
    """As those of requests, httpx and botocore."""

    def __init__(self, response: Any) -> None:
        super().__init__("an answer")
        self.response = response


class StatusError(Exception):
    """As those of aiohttp and of clients that are made with httpx."""

    def __init__(self, headers: dict[str, str], **status: Any) -> None:
        super().__init__("an answer")
        self.headers = headers
        self.__dict__.update(status)


class OddError(Exception):
    """One whose attributes can't be had."""

    @property
    def response(self) -> None:
        raise RuntimeError


def _response(status: int, **headers: str) -> SimpleNamespace:
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return SimpleNamespace(status_code=status, headers=names)


def _urllibs(status: int, headers: dict[str, str] | None = None) -> urllib.error.HTTPError:
    message = email.message.Message()
    for name, value in (headers or {}).items():
        message[name] = value
    return urllib.error.HTTPError("http://localhost", status, "", message, io.BytesIO())


def _botocores(code: str, status: int, headers: dict[str, str] | None = None) -> ResponseError:
    metadata = {"HTTPStatusCode": status, "HTTPHeaders": headers or {}}
    return ResponseError({"Error": {"Code": code}, "ResponseMetadata": metadata})


@pytest.mark.parametrize(
    "error",
    [
        ResponseError(_response(429)),
        ResponseError(_response(503)),
        ResponseError(_response(529)),
        ResponseError(SimpleNamespace(status=429)),
        StatusError({}, status=429),
        StatusError({}, status_code=http.HTTPStatus.TOO_MANY_REQUESTS),
        _urllibs(503),
        _botocores("ThrottlingException", 400),
        _botocores("SlowDown", 503),
        _botocores("Unknown", 429),
    ],
)
def test_it_is_seen_that_a_service_wants_fewer_calls(error: Exception) -> None:
    assert says_slow_down(error)


@pytest.mark.parametrize(
    "error",
    [
        ValueError(429),
        OSError(429, "an errno"),
        ResponseError(None),
        ResponseError(_response(500)),
        ResponseError(_response(200)),
        StatusError({}, code="429"),
        StatusError({}, code=lambda: 429),
        _urllibs(404),
        _botocores("NoSuchKey", 404),
        ResponseError({"Error": "odd", "ResponseMetadata": None}),
        SystemExit(429),
        OddError(),
    ],
)
def test_other_failures_are_failures(error: BaseException) -> None:
    assert not says_slow_down(error)
    assert isinstance(error, (SystemExit, OddError)) or not is_push_back(error)


NOW = 1_700_000_000.0


@pytest.mark.parametrize(
    ("error", "seconds"),
    [
        (ResponseError(_response(429, Retry_After="7")), 7),
        (ResponseError(_response(429, Retry_After="0.25")), 0.25),
        (ResponseError(_response(503, Retry_After="Tue, 14 Nov 2023 22:13:50 GMT")), 30),
        (ResponseError(_response(503, Retry_After="Tue, 14 Nov 2023 22:13:00 GMT")), 0),
        (ResponseError(_response(503, Retry_After="soon")), None),
        (ResponseError(_response(429, Retry_After="7", retry_after_ms="1250")), 1.25),
        (ResponseError(_response(429, x_ratelimit_reset_tokens="6m0s")), 360),
        (ResponseError(_response(429, x_ratelimit_reset_requests="120ms")), 0.12),
        (ResponseError(_response(429, x_ratelimit_reset_requests="1h2m3.5s")), 3723.5),
        (ResponseError(_response(429, x_ratelimit_reset_requests="12")), 12),
        (ResponseError(_response(429, x_ratelimit_reset_requests=str(NOW + 9))), 9),
        (ResponseError(_response(429, x_ratelimit_reset_requests="later")), None),
        (ResponseError(_response(429, x_ratelimit_reset=str(NOW + 9))), 9),
        (ResponseError(_response(429, x_ratelimit_resets="9")), None),
        (ResponseError(_response(503, x_ratelimit_reset="900", x_ratelimit_remaining="4")), None),
        (ResponseError(_response(429, Retry_After="nan")), None),
        (StatusError({"retry-after": "3"}, status=429), 3),
        (_urllibs(429, {"Retry-After": "4"}), 4),
        (_botocores("SlowDown", 503, {"retry-after": "5"}), 5),
        (ResponseError(_response(429)), None),
        (ValueError(), None),
    ],
)
def test_how_long_it_wants_none(error: Exception, seconds: float | None) -> None:
    expected = seconds if seconds is None else pytest.approx(seconds)
    assert pause_of(error, NOW) == expected


def test_only_the_limit_that_is_used_up_counts() -> None:
    headers = {
        "x-ratelimit-reset-requests": "1s",
        "x-ratelimit-remaining-requests": "0",
        "x-ratelimit-reset-tokens": "6m0s",
        "x-ratelimit-remaining-tokens": "149984",
    }
    assert pause_of(StatusError(headers, status_code=429)) == 1
