"""Exceptions that go to another process and come back: as themselves, whatever their class is."""

from __future__ import annotations

import copyreg
import io
import threading
from typing import Any
from urllib.error import HTTPError

import pytest

from metainformant.core.parallel.backends.ipc.exceptions import pack, unpack


class Unavailable(OSError):  # noqa: N818
    def __init__(self, url: str, status: int) -> None:
        super().__init__(f"{url} answered {status}")
        self.status = status


class Missing(FileNotFoundError):  # noqa: N818
    def __init__(self, path: str, *, tried: int) -> None:
        super().__init__(2, "not there", path)
        self.tried = tried


class NeverInitialised(OSError):  # noqa: N818
    def __init__(self, status: int) -> None:
        self.status = status


class NoModule(ImportError):  # noqa: N818
    def __init__(self, wanted: str) -> None:
        super().__init__(f"no {wanted}", name=wanted, path="/nowhere")


class Enough(StopIteration):
    def __init__(self, *, value: int) -> None:
        super().__init__(value)


class Undecodable(UnicodeDecodeError):  # noqa: N818
    def __init__(self, data: bytes) -> None:
        super().__init__("ascii", data, 1, 2, "not so")


class Mixed(ValueError, OSError):  # noqa: N818
    def __init__(self, code: int, text: str) -> None:
        super().__init__(code, text)
        self.code = code


class Slots(OSError):  # noqa: N818
    __slots__ = ("where",)

    def __init__(self, where: str) -> None:
        super().__init__(5, "input/output")
        self.where = where


class Frozen(OSError):  # noqa: N818
    def __init__(self, code: int) -> None:
        super().__init__(code, "frozen")
        self.__dict__["code"] = code

    def __setattr__(self, name: str, value: object) -> None:
        raise TypeError("frozen")


class Group(ExceptionGroup[Exception]):
    def __new__(cls, errors: list[Exception], host: str) -> Group:
        return super().__new__(cls, f"from {host}", errors)

    def __init__(self, errors: list[Exception], host: str) -> None:
        self.host = host


def sent(error: BaseException) -> Any:
    return unpack(pack(error), "worker")


def state(error: BaseException) -> dict[str, Any]:
    return {name: value for name, value in vars(error).items() if name != "__notes__"}


@pytest.mark.parametrize(
    ("error", "names"),
    [
        (Unavailable("http://x", 503), ["status"]),
        (Missing("/x", tried=3), ["errno", "strerror", "filename", "tried"]),
        (NeverInitialised(9), ["errno", "status"]),
        (NoModule("spam"), ["name", "path", "msg"]),
        (Enough(value=4), ["value"]),
        (Undecodable(b"abc"), ["encoding", "object", "start", "end", "reason"]),
        (Mixed(7, "seven"), ["code"]),
        (Slots("disk"), ["errno", "where"]),
        (Frozen(3), ["errno", "code"]),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else "",
)
def test_a_class_with_a_constructor_of_its_own(error: BaseException, names: list[str]) -> None:
    error.add_note("noted") if not isinstance(error, Frozen) else None
    copy = sent(error)
    assert type(copy) is type(error)
    assert (str(copy), copy.args) == (str(error), error.args)
    assert state(copy) == state(error)
    for name in names:
        assert getattr(copy, name) == getattr(error, name)
    if not isinstance(error, Frozen):
        assert copy.__notes__ == ["noted"]


def test_an_error_of_urllib() -> None:
    headers: Any = {}
    with HTTPError("http://x", 503, "busy", headers, io.BytesIO(b"body")) as error:
        copy = sent(error)
    assert isinstance(copy, HTTPError)
    assert (copy.code, copy.reason, copy.url) == (503, "busy", "http://x")
    copy.close()


def test_an_attribute_that_cannot_be_pickled_is_none() -> None:
    error: Any = Unavailable("http://x", 503)
    error.lock = threading.Lock()
    copy: Any = sent(error)
    assert isinstance(copy, Unavailable)
    lock = vars(copy)["lock"]
    assert (copy.status, lock, str(copy)) == (503, None, "http://x answered 503")
    assert copy.__notes__ == ["could not be pickled, and are None in this copy: lock"]


@pytest.mark.parametrize("group", [ExceptionGroup, BaseExceptionGroup])
def test_a_group_with_members_that_have_constructors_of_their_own(group: Any) -> None:
    inner = group("inner", [Missing("/x", tried=3)])
    copy = sent(group("outer", [Unavailable("http://x", 503), inner, ValueError(1)]))
    assert type(copy).__name__ == "ExceptionGroup"
    assert copy.message == "outer"
    assert [type(error) for error in copy.exceptions] == [Unavailable, ExceptionGroup, ValueError]
    assert copy.exceptions[0].status == 503
    assert copy.exceptions[1].exceptions[0].tried == 3
    assert copy.exceptions[1].exceptions[0].filename == "/x"


def test_a_group_of_a_class_of_its_own() -> None:
    copy: Any = sent(Group([Unavailable("http://x", 503)], "host"))
    assert isinstance(copy, Group)
    first: Any = copy.exceptions[0]
    assert (copy.host, copy.message, first.status) == ("host", "from host", 503)


def test_an_exception_that_is_an_attribute_of_another() -> None:
    error = Unavailable("http://x", 503)
    error.original = [Missing("/x", tried=1)]  # type: ignore[attr-defined]
    assert sent(error).original[0].tried == 1


def test_an_exception_that_refers_to_itself() -> None:
    error: Any = Unavailable("http://x", 503)
    error.itself = [error]
    copy = sent(error)
    assert (type(copy), copy.status, copy.itself) == (Unavailable, 503, [None])


def test_reducers_of_others_take_nothing_away(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that tblib registers forget what exceptions of C classes have apart from `args`."""
    error = UnicodeDecodeError("utf-8", b"x", 0, 1, "bad")
    monkeypatch.setitem(copyreg.dispatch_table, UnicodeDecodeError, lambda error: (ValueError, ()))
    copy = unpack(pack(error), "worker")
    assert type(copy) is UnicodeDecodeError
    assert str(copy) == str(error)
