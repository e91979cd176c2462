"""Streams: what lazy reading, order, rates, retries and constant memory cost.

Run `make bench`, or `python benchmarks/streams.py [WORKLOAD ...]`. Each workload runs in a process
of its own, since peaks of memory never come down.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import itertools
import os
import random
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from metainformant.core import parallel


def same(item: Any) -> Any:
    return item


def numbers(count: int) -> Iterator[int]:
    for number in range(count):  # noqa: UP028  # a generator, as users write them
        yield number


def peak() -> float:
    """The most memory that this process has had, in MiB."""
    import resource

    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most / 1024 if sys.platform == "linux" else most / 2**20


def seconds(results: Iterable[Any]) -> float:
    began = time.perf_counter()
    for _ in results:
        pass
    return time.perf_counter() - began


def stream_of_integers() -> None:
    count, rounds = 5_000_000, 5
    before = peak()
    ours, plain = [], []
    for _ in range(rounds):
        plain.append(seconds(map(same, numbers(count))))
        ours.append(seconds(parallel.imap(same, numbers(count), max_workers=8)))
    grown = peak() - before
    ratio = statistics.median(ours) / statistics.median(plain)
    row("imap, 5,000,000 integers, to a plain map()", f"{ratio:.2f} x")
    row("the same, per item", f"{statistics.median(ours) / count * 1e9:.0f} ns")
    row("the same, memory above the start", f"{grown:.1f} MiB")


def records() -> None:
    count = 1_000_000
    times = [seconds(parallel.outcomes(same, numbers(count))) for _ in range(5)]
    row("outcomes, 1,000,000 no-ops, per item", f"{statistics.median(times) / count * 1e9:.0f} ns")


def first_result() -> None:
    def task(item: int) -> int:
        time.sleep(0.02)
        return item

    waits = []
    for _ in range(21):
        with parallel.imap(task, itertools.count()) as stream:
            began = time.perf_counter()
            next(stream)
            waits.append(time.perf_counter() - began)
    row("first result of tasks of 20 ms", f"{statistics.median(waits) * 1000:.1f} ms")
    row("the same, the slowest of 21", f"{max(waits) * 1000:.1f} ms")


def order() -> None:
    chance = random.Random(1)
    durations = [0.1 if chance.random() < 0.01 else 0.001 for _ in range(40_000)]
    times: dict[bool, list[float]] = {True: [], False: []}
    for _ in range(5):
        for ordered in (True, False):
            stream = parallel.imap(time.sleep, iter(durations), max_workers=64, ordered=ordered)
            times[ordered].append(seconds(stream))
    ratio = statistics.median(times[False]) / statistics.median(times[True])
    row("ordered, 1 % of the tasks 100 x slower, to unordered throughput", f"{ratio:.1%}")


def rate() -> None:
    starts: list[float] = []
    chance = random.Random(1)

    def task(item: int) -> int:
        starts.append(time.monotonic())
        if chance.random() < 0.2:
            raise OSError
        time.sleep(chance.random() * 0.05)
        return item

    stream = parallel.imap(
        task, itertools.count(), max_workers=16, rate=200, retries=3, backoff=0.05, deadline=5.0
    )
    with contextlib.suppress(parallel.TaskCancelledError):
        seconds(stream)
    starts.sort()
    most = max(bisect_left(starts, at + 1) - n for n, at in enumerate(starts))
    mean = (len(starts) - 1) / (starts[-1] - starts[0])
    row("rate=200 for 5 s: most starts in any second", str(most))
    row("the same, mean rate", f"{mean:.2f} /s")


def requests() -> None:
    """10,000 requests to a server with stalls, resets and a quota."""
    count, quota = 10_000, 1000
    with tempfile.TemporaryDirectory() as folder:
        server = subprocess.Popen(
            [sys.executable, __file__, "--serve", str(quota)], cwd=folder, stdout=subprocess.PIPE
        )
        assert server.stdout is not None
        port = int(server.stdout.readline())
        refused: dict[int, list[int]] = {}

        class BusyError(Exception):
            def __init__(self, after: float) -> None:
                super().__init__(f"429, again in {after} s")
                self.after = after

        def fetch(item: int) -> str:
            connection = http.client.HTTPConnection("127.0.0.1", port)
            try:
                connection.request("GET", f"/{item}")
                answer = connection.getresponse()
                body = answer.read().decode()
            finally:
                connection.close()
            if answer.status == 429:
                task = parallel.current_task()
                assert task is not None
                refused.setdefault(item, []).append(task.attempt)
                raise BusyError(float(answer.headers["Retry-After"]))
            if answer.status != 200:
                raise OSError(answer.status)
            return body

        limit = parallel.RateLimit(quota)

        def backoff(attempt: int, error: BaseException) -> float:
            if not isinstance(error, BusyError):
                return 0.05 * attempt
            limit.pause(error.after)
            return error.after

        began = time.perf_counter()
        results = list(
            parallel.imap(
                fetch,
                range(count),
                max_workers=32,
                timeout=0.5,
                retries=10,
                backoff=backoff,
                rate=limit,
            )
        )
        took = time.perf_counter() - began
        server.kill()
        server.wait()
    right = sum(result == f"item {item}" for item, result in enumerate(results))
    twice = sum(
        any(b == a + 1 for a, b in itertools.pairwise(attempts)) for attempts in refused.values()
    )
    row("10,000 requests: right results", str(right))
    row("the same, refused over the quota", str(sum(map(len, refused.values()))))
    row("the same, items that were refused twice in a row", str(twice))
    row("the same, time", f"{took:.1f} s")


def serve(quota: int) -> None:
    """Answer requests; of 100, stall in 2, reset 5, and refuse what is over the quota."""
    import asyncio

    chance = random.Random(1)
    window: list[float] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            item = head.split()[1].decode().strip("/")
            luck = chance.random()
            if luck < 0.02:
                await asyncio.sleep(2)
            elif luck < 0.07:
                writer.transport.abort()
                return
            now = time.monotonic()
            del window[: bisect_right(window, now - 1)]
            if len(window) >= quota:
                wait = window[0] + 1 - now
                say(writer, "429 Too Many Requests", "", f"Retry-After: {wait:.4f}\r\n")
            else:
                window.append(now)
                say(writer, "200 OK", f"item {item}")
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    def say(writer: asyncio.StreamWriter, status: str, body: str, more: str = "") -> None:
        head = f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n{more}\r\n"
        writer.write((head + body).encode())

    async def main() -> None:
        server = await asyncio.start_server(answer, "127.0.0.1", 0, backlog=1000)
        print(server.sockets[0].getsockname()[1], flush=True)
        await server.serve_forever()

    asyncio.run(main())


def command_line() -> None:
    """1,000,000 reads from standard input."""
    reads = 1_000_000
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "job.py").write_text("def length(read): return len(read.sequence)\n")
        command = [sys.executable, "-m", "metainformant", "map", "job:length", "--format", "fastq"]
        process = subprocess.Popen(
            [*command, "-o", "out.tsv"], cwd=folder, stdin=subprocess.PIPE, stderr=subprocess.PIPE
        )
        assert process.stdin is not None
        assert process.stderr is not None
        began = time.perf_counter()
        block = "".join(f"@r{n}\n{'ACGT' * 25}\n+\n{'I' * 100}\n" for n in range(1000)).encode()

        def feed() -> None:
            assert process.stdin is not None
            for _ in range(reads // 1000):
                process.stdin.write(block)
            process.stdin.close()

        thread = threading.Thread(target=feed)
        thread.start()
        said = process.stderr.read().decode()
        thread.join()
        _, status, usage = os.wait4(process.pid, 0)
        took = time.perf_counter() - began
        lines = Path(folder, "out.tsv").read_bytes().count(b"\n")
    assert lines == reads + 1, said
    assert status == 0, said
    row("command line, 1,000,000 reads: peak memory", f"{usage.ru_maxrss / 1024:.0f} MiB")
    row("the same, time", f"{took:.1f} s")


WORKLOADS: dict[str, Callable[[], None]] = {
    "integers": stream_of_integers,
    "outcomes": records,
    "first": first_result,
    "order": order,
    "rate": rate,
    "requests": requests,
    "command": command_line,
}


def row(name: str, value: str) -> None:
    print(f"| {name} | {value} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("workloads", nargs="*", choices=[[], *WORKLOADS])
    parser.add_argument("--serve", type=int)
    parser.add_argument("--here", action="store_true", help="in this process")
    chosen = parser.parse_args()
    if chosen.serve:
        serve(chosen.serve)
        return
    if chosen.here:
        for name in chosen.workloads:
            WORKLOADS[name]()
        return
    print("| | |\n| --- | --- |", flush=True)
    for name in chosen.workloads or WORKLOADS:
        subprocess.run([sys.executable, __file__, name, "--here"], check=True)


if __name__ == "__main__":
    main()
