"""How actors of Ray are kept and ended, without any Ray."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

if not TYPE_CHECKING:
    pytest.importorskip("ray", reason="not there for all builds")
from ray.exceptions import RayActorError, RuntimeEnvSetupError

from metainformant.core.parallel.backends.clusters import ray_actors
from metainformant.core.parallel.backends.clusters.ray_actors import KEEP_SECONDS, Actor, ActorStore
from metainformant.core.parallel.backends.clusters.ray_cluster import why_lost


class SimulatedLoop:
    """What a store asks of its event loop; time passes when a test says so."""

    def __init__(self) -> None:
        self.now = 0.0
        self.calls: list[tuple[float, Callable[..., object], tuple[Any, ...]]] = []

    def time(self) -> float:
        return self.now

    def call_later(self, delay: float, call: Callable[..., object], *arguments: Any) -> None:
        self.calls.append((self.now + delay, call, arguments))

    def advance(self, seconds: float) -> None:
        self.now += seconds
        due = [call for call in self.calls if call[0] <= self.now]
        self.calls = [call for call in self.calls if call[0] > self.now]
        for _, call, arguments in due:
            call(*arguments)


class FakeRay:
    """The part of Ray that ends actors."""

    def __init__(self) -> None:
        self.ended: list[Any] = []
        self.refuses = False

    def kill(self, handle: Any) -> None:
        if self.refuses:
            self.refuses = False
            raise RuntimeError("no answer")
        self.ended.append(handle)


@pytest.fixture
def fake_ray(monkeypatch: pytest.MonkeyPatch) -> FakeRay:
    fake = FakeRay()
    monkeypatch.setattr(ray_actors, "ray", fake)
    monkeypatch.setattr(ray_actors, "_is_current", lambda _session: True)
    return fake


def actor(name: str) -> Actor:
    return Actor(name, ("node", "job"), is_checked=True)


@pytest.fixture
def loop() -> SimulatedLoop:
    return SimulatedLoop()


@pytest.fixture
def store(loop: SimulatedLoop) -> ActorStore:
    return ActorStore(loop)  # type: ignore[arg-type]


def test_an_idle_actor_is_kept_for_a_while(
    store: ActorStore, loop: SimulatedLoop, fake_ray: FakeRay
) -> None:
    store.put(actor("a"))
    loop.advance(0.5 * KEEP_SECONDS)
    store.put(actor("b"))
    loop.advance(0.5 * KEEP_SECONDS)
    assert fake_ray.ended == ["a"]
    loop.advance(0.5 * KEEP_SECONDS)
    assert fake_ray.ended == ["a", "b"]
    assert not loop.calls


def test_a_pool_keeps_all_until_it_is_closed(
    store: ActorStore, loop: SimulatedLoop, fake_ray: FakeRay
) -> None:
    store.hold()
    store.put(actor("a"))
    loop.advance(10 * KEEP_SECONDS)
    assert not fake_ray.ended
    store.release()
    assert fake_ray.ended == ["a"]


def test_an_actor_that_cannot_be_ended_keeps_no_other(
    store: ActorStore, loop: SimulatedLoop, fake_ray: FakeRay
) -> None:
    for name in "abc":
        store.put(actor(name))
    fake_ray.refuses = True
    loop.advance(KEEP_SECONDS)
    assert fake_ray.ended == ["b", "c"]
    loop.advance(KEEP_SECONDS)
    assert fake_ray.ended == ["b", "c", "a"]
    assert not loop.calls


@pytest.mark.parametrize(
    ("error", "why"),
    [
        (
            RayActorError(
                error_msg="The actor died\n  File x, line 1\nOSError: no licence",
                actor_init_failed=True,
            ),
            "it can't start: OSError: no licence",
        ),
        (
            RuntimeEnvSetupError("Traceback\nRuntimeError: no pip\n"),
            "it can't start: RuntimeError: no pip",
        ),
        (RayActorError(error_msg="The actor died\nclass_name: RayWorker"), "its process has ended"),
        (OSError("no answer"), "OSError: no answer"),
    ],
)
def test_why_an_actor_was_lost_is_one_line(error: Exception, why: str) -> None:
    assert why_lost(error) == why
