"""How actors of Ray are kept and ended, without any Ray."""

from __future__ import annotations

import asyncio
import pickle
import threading
from collections.abc import Callable
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

if not TYPE_CHECKING:
    pytest.importorskip("ray", reason="not there for all builds")
from ray.exceptions import RayActorError, RuntimeEnvSetupError

from metainformant.core.parallel.backends.clusters import handshake, ray_actors, ray_cluster
from metainformant.core.parallel.backends.clusters.cluster import Broken, Event
from metainformant.core.parallel.backends.clusters.messages import Hello
from metainformant.core.parallel.backends.clusters.ray_actors import KEEP_SECONDS, Actor, ActorStore
from metainformant.core.parallel.backends.clusters.ray_cluster import RayCluster, why_lost

from .test_link import passes


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
    """The parts of Ray that end actors, and that a map needs to begin."""

    def __init__(self) -> None:
        self.ended: list[Any] = []
        self.refuses = False

    def is_initialized(self) -> bool:
        return True

    def nodes(self) -> list[Any]:
        return []

    def get_runtime_context(self) -> Any:
        return SimpleNamespace(gcs_address="here")

    def put(self, _value: Any) -> str:
        return "a reference"

    def kill(self, handle: Any) -> None:
        if self.refuses:
            self.refuses = False
            raise RuntimeError("no answer")
        self.ended.append(handle)


@pytest.fixture
def fake_ray(monkeypatch: pytest.MonkeyPatch) -> FakeRay:
    fake = FakeRay()
    monkeypatch.setattr(ray_actors, "ray", fake)
    monkeypatch.setattr(ray_cluster, "ray", fake)
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


class FakeHandle:
    """An actor that answers when a test says so."""

    def __init__(self) -> None:
        self.asked: dict[str, asyncio.Future[Any]] = {}  # the last call of each method

    def __getattr__(self, name: str) -> Any:
        return FakeMethod(self, name)


class FakeMethod:
    """A method of an actor."""

    def __init__(self, handle: FakeHandle, name: str) -> None:
        self._handle = handle
        self._name = name

    def remote(self, *_arguments: Any) -> asyncio.Future[Any]:
        answer = self._handle.asked[self._name] = asyncio.get_running_loop().create_future()
        return answer


@pytest.fixture
def handles(fake_ray: FakeRay, monkeypatch: pytest.MonkeyPatch) -> list[FakeHandle]:
    """The actors that were made."""
    made: list[FakeHandle] = []

    def make() -> Actor:
        made.append(FakeHandle())
        return Actor(made[-1], ("node", "job"))

    monkeypatch.setattr(ray_cluster, "make_actor", make)
    stores: list[ActorStore] = []

    def only_store() -> ActorStore:
        if not stores:
            stores.append(ActorStore(asyncio.get_running_loop()))
        return stores[0]

    monkeypatch.setattr(ray_actors, "_only_store", only_store)
    return made


def test_an_actor_that_has_not_started_is_kept_too(
    handles: list[FakeHandle], fake_ray: FakeRay
) -> None:
    """Else maps that are shorter than its start would never have it."""

    async def run() -> None:
        first = RayCluster("cluster_map")
        first.connect("ray actor 1", b"", 0.0)
        await passes()
        (handle,) = handles
        assert set(handle.asked) == {"introduce"}  # it has not started
        first.close()
        await passes()
        second = RayCluster("cluster_map")
        link = second.connect("ray actor 1", b"", 0.0)
        await passes()
        handle.asked["introduce"].set_result(("name", handshake.versions()))
        await passes()
        handle.asked["open"].set_result(pickle.dumps(Hello("token", "name", 1, "")))
        await passes()
        assert link.line is not None
        assert handles == [handle]
        assert not fake_ray.ended

    asyncio.run(run())


def test_other_versions_are_refused_before_anything_runs(
    handles: list[FakeHandle], fake_ray: FakeRay
) -> None:
    theirs = {**handshake.versions(), "cloudpickle": "0.9"}

    async def run() -> list[Event]:
        events: list[Event] = []
        cluster = RayCluster("cluster_map")
        cluster.start(events.append, 1)
        cluster.connect("ray actor 1", b"", 0.0)
        await passes()
        (handle,) = handles
        handle.asked["introduce"].set_result(("ray actor 7 on here", theirs))
        await passes()
        assert set(handle.asked) == {"introduce"}
        assert fake_ray.ended == [handle]
        cluster.close()
        return events

    (broken,) = [event for event in asyncio.run(run()) if isinstance(event, Broken)]
    assert "ray actor 7 on here has cloudpickle 0.9" in str(broken.error)


def test_a_ray_that_does_not_answer_is_gone(
    handles: list[FakeHandle],
    fake_ray: FakeRay,
    monkeypatch: pytest.MonkeyPatch,
    release: threading.Event,
) -> None:
    """Its library waits for it, and ends this process after a minute."""
    monkeypatch.setattr(fake_ray, "nodes", release.wait)
    monkeypatch.setattr(ray_cluster, "_GONE_SECONDS", 0.01)
    monkeypatch.setattr(ray_cluster, "ANSWER_SECONDS", 0.01)

    async def run() -> Event:
        told: asyncio.Future[Event] = asyncio.get_running_loop().create_future()
        cluster = RayCluster("cluster_map")
        cluster.start(told.set_result, 1)
        event = await asyncio.wait_for(told, 20)
        release.set()
        while any(thread.name == "metainformant-ray-look" for thread in threading.enumerate()):
            await asyncio.sleep(0.001)
        return event

    broken = asyncio.run(run())
    assert isinstance(broken, Broken)
    assert "can't be reached" in str(broken.error)
