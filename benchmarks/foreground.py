"""A steady foreground load of short transactions on one table's rows, and how long they take."""

import random
import time

import psycopg

from benchmarks.writes import p99

_RATE = 100.0
"""Transactions a second, each due when it is due."""


def prepare(url: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE TABLE visit (item bigint PRIMARY KEY, times int NOT NULL)")
        connection.execute("INSERT INTO visit SELECT i, 0 FROM generate_series(1, 1000) AS i")


def latency(url: str, rows: int, seconds: float) -> float:
    """The p99, in seconds, over transactions that each read an item and count a visit."""
    taken: list[float] = []
    chosen = random.Random(1)
    with psycopg.connect(url) as connection:
        began = time.perf_counter()
        for number in range(int(seconds * _RATE)):
            due = began + number / _RATE
            time.sleep(max(0.0, due - time.perf_counter()))
            with connection.transaction():
                item = chosen.randint(1, rows)
                connection.execute("SELECT name, price FROM item WHERE id = %s", (item,)).fetchone()
                visit = "UPDATE visit SET times = times + 1 WHERE item = %s"
                connection.execute(visit, (chosen.randint(1, 1000),))
            taken.append(time.perf_counter() - due)
    return p99(taken)
