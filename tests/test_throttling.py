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


# What services answer, as they document it or as clients have recorded it: headers, and the pause.
ANSWERS: list[tuple[str, dict[str, str], float | None]] = [
    (
        "OpenAI, calls used up",
        {
            "x-ratelimit-limit-requests": "60",
            "x-ratelimit-remaining-requests": "0",
            "x-ratelimit-reset-requests": "1s",
            "x-ratelimit-limit-tokens": "150000",
            "x-ratelimit-remaining-tokens": "149984",
            "x-ratelimit-reset-tokens": "6m0s",
        },
        1,
    ),
    (
        "OpenAI, overloaded: nothing is used up",
        {
            "x-ratelimit-remaining-requests": "4999",
            "x-ratelimit-reset-requests": "12ms",
            "x-ratelimit-remaining-tokens": "79976",
            "x-ratelimit-reset-tokens": "6m0s",
            "x-ratelimit-remaining-tokens_usage_based": "79976",
            "x-ratelimit-reset-tokens_usage_based": "18ms",
        },
        None,
    ),
    (
        "OpenAI, overloaded, and says when",
        {
            "retry-after-ms": "1500",
            "retry-after": "2",
            "x-ratelimit-remaining-tokens": "0",
            "x-ratelimit-reset-tokens": "6m0s",
        },
        1.5,
    ),
    (
        "both used up",
        {
            "x-ratelimit-remaining-requests": "0",
            "x-ratelimit-reset-requests": "120ms",
            "x-ratelimit-remaining-tokens": "0",
            "x-ratelimit-reset-tokens": "59.5s",
        },
        59.5,
    ),
    (
        "one used up, one that does not tell what remains",
        {
            "x-ratelimit-remaining-requests": "0",
            "x-ratelimit-reset-requests": "1s",
            "x-ratelimit-reset-project-tokens": "3s",
        },
        3,
    ),
    (
        "Groq",
        {
            "x-ratelimit-remaining-requests": "14370",
            "x-ratelimit-reset-requests": "2m59.56s",
            "x-ratelimit-remaining-tokens": "0",
            "x-ratelimit-reset-tokens": "7.66s",
        },
        7.66,
    ),
    (
        "Azure OpenAI, of a model whose limits it does not tell",
        {"x-ratelimit-remaining-tokens": "-1", "x-ratelimit-reset-tokens": "0"},
        0,
    ),
    ("Azure Cosmos DB", {"x-ms-retry-after-ms": "33"}, 0.033),
    (
        "Anthropic",
        {
            "anthropic-ratelimit-requests-limit": "50",
            "anthropic-ratelimit-requests-remaining": "0",
            "anthropic-ratelimit-requests-reset": "2023-11-14T22:13:25Z",
            "anthropic-ratelimit-tokens-remaining": "39000",
            "anthropic-ratelimit-tokens-reset": "2023-11-14T22:14:20Z",
        },
        5,
    ),
    (
        "Anthropic, overloaded",
        {
            "anthropic-ratelimit-requests-remaining": "49",
            "anthropic-ratelimit-requests-reset": "2023-11-14T22:13:25Z",
            "anthropic-ratelimit-unified-7d-status": "allowed",
            "anthropic-ratelimit-unified-7d-reset": str(NOW + 5 * 86400),
        },
        None,
    ),
    (
        "GitHub",
        {
            "x-ratelimit-limit": "5000",
            "x-ratelimit-remaining": "0",
            "x-ratelimit-used": "5000",
            "x-ratelimit-reset": f"{NOW + 1800:.0f}",
            "x-ratelimit-resource": "core",
        },
        1800,
    ),
    (
        "GitHub, a secondary limit",
        {
            "retry-after": "60",
            "x-ratelimit-remaining": "4999",
            "x-ratelimit-reset": f"{NOW + 1800:.0f}",
        },
        60,
    ),
    ("Reddit", {"x-ratelimit-remaining": "0.0", "x-ratelimit-reset": "123"}, 123),
    ("Reddit, overloaded", {"x-ratelimit-remaining": "599.0", "x-ratelimit-reset": "123"}, None),
    ("X", {"x-rate-limit-remaining": "0", "x-rate-limit-reset": f"{NOW + 900:.0f}"}, 900),
    (
        "Discord",
        {"x-ratelimit-remaining": "0", "x-ratelimit-reset-after": "1.25"},
        1.25,
    ),
    (
        "Discord, where another limit was reached",
        {"x-ratelimit-remaining": "3", "x-ratelimit-reset-after": "1.25"},
        None,
    ),
    (
        "OpenRouter: milliseconds since the epoch",
        {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": f"{(NOW + 9) * 1000:.0f}"},
        9,
    ),
    (
        "Linear: the kind before the word, and milliseconds since the epoch",
        {
            "x-ratelimit-requests-remaining": "0",
            "x-ratelimit-requests-reset": f"{(NOW + 9) * 1000:.0f}",
            "x-ratelimit-complexity-remaining": "200000",
            "x-ratelimit-complexity-reset": f"{(NOW + 3600) * 1000:.0f}",
        },
        9,
    ),
    (
        "RapidAPI: a month of which much remains",
        {"x-ratelimit-requests-remaining": "205676", "x-ratelimit-requests-reset": "2163603"},
        None,
    ),
    ("milliseconds", {"x-ratelimit-remaining": "0", "x-ratelimit-reset-ms": "2500"}, 2.5),
    ("the draft of the IETF", {"ratelimit-remaining": "0", "ratelimit-reset": "30"}, 30),
    ("the draft, with some left", {"ratelimit-remaining": "5", "ratelimit-reset": "30"}, None),
    ("GitLab", {"ratelimit-remaining": "0", "ratelimit-reset": f"{NOW + 40:.0f}"}, 40),
    ("a date with an offset", {"x-ratelimit-reset": "2023-11-14T23:13:30.500+01:00"}, 10.5),
    ("Retry-After since the epoch", {"retry-after": f"{NOW + 20:.0f}"}, 20),
    ("Retry-After with a unit", {"retry-after": "20s"}, 20),
    ("what can't be read", {"retry-after": "soon", "x-ratelimit-reset": "2m, 3x"}, None),
    ("microseconds", {"x-ratelimit-reset-tokens": "1ms500\u00b5s"}, 0.0015),
]


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [answer[1:] for answer in ANSWERS],
    ids=[answer[0] for answer in ANSWERS],
)
def test_only_limits_that_are_used_up_count(headers: dict[str, str], seconds: float | None) -> None:
    expected = seconds if seconds is None else pytest.approx(seconds)
    assert pause_of(StatusError(headers, status_code=503), NOW) == expected
