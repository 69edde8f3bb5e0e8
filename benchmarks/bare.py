"""The physical limit: keep-alive sockets and the fastest JSON library, nothing else.

    bare.py members  <api_url> <token> <connections>            pages of members to RECORD lines
    bare.py people   <api_url> <token> <connections> < messages  100 people in a PATCH
    bare.py contacts <api_url> <key>   <connections> < messages  a lookup and a POST for each

It does on each connection's thread what has to be done for an answer, and reads nothing but
the status.
"""

from __future__ import annotations

import queue
import socket
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from urllib.parse import quote, urlsplit

import orjson


class Connection:
    """One keep-alive connection."""

    def __init__(self, api_url: str, token: str) -> None:
        parts = urlsplit(api_url)
        self._socket = socket.create_connection((parts.hostname, parts.port))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._answers = self._socket.makefile("rb", 1 << 17)
        self._path = parts.path
        self._headers = (
            f" HTTP/1.1\r\nHost: {parts.netloc}\r\nAuthorization: Bearer {token}\r\n"
            "Content-Type: application/json\r\nContent-Length: "
        )

    def ask(self, method: str, path: str, body: bytes = b"", *, fine: int = 200) -> bytes:
        """Send a request; the answer's body. A status that is not 2xx has to be `fine`."""
        head = f"{method} {self._path}/{path}{self._headers}{len(body)}\r\n\r\n"
        self._socket.sendall(head.encode() + body)
        status = int(self._answers.readline().split(None, 2)[1])
        length = 0
        while (line := self._answers.readline()) not in (b"\r\n", b""):
            if line[:15].lower() == b"content-length:":
                length = int(line[15:])
        answer = self._answers.read(length)
        if not 200 <= status < 300 and status != fine:
            raise RuntimeError(f"{method} {path}: {status} {answer[:200]!r}")
        return answer


Task = Callable[[Connection], None]


def run(tasks: Iterable[Task], connect: Callable[[], Connection], connections: int) -> None:
    """Carry out tasks, each on one of the connections."""
    if connections == 1:
        connection = connect()
        for task in tasks:
            task(connection)
        return
    waiting: queue.Queue[Task | None] = queue.Queue(2 * connections)
    failed: list[BaseException] = []

    def work() -> None:
        try:
            connection = connect()
            while (task := waiting.get()) is not None:
                task(connection)
        except BaseException as error:
            failed.append(error)
            raise

    threads = [threading.Thread(target=work, daemon=True) for _ in range(connections)]
    for thread in threads:
        thread.start()
    for task in tasks:
        waiting.put(task)
    for _ in threads:
        waiting.put(None)
    for thread in threads:
        thread.join()
    if failed:
        sys.exit(1)


def members(connect: Callable[[], Connection]) -> Iterator[Task]:
    """Write every page's members as RECORD lines."""
    lock = threading.Lock()
    out = sys.stdout.buffer
    before = b'{"type":"RECORD","stream":"members","record":'
    after = b',"time_extracted":"2026-01-01T00:00:00.000000+00:00"}\n'

    def page(connection: Connection, number: int) -> int:
        answer = orjson.loads(connection.ask("GET", f"members?page={number}&per_page=100"))
        lines = [before + orjson.dumps(row) + after for row in answer["data"]]
        with lock:
            out.write(b"".join(lines))
        return answer["meta"]["total"]

    total = page(connect(), 1)
    for number in range(2, -(-total // 100) + 1):
        yield lambda connection, number=number: page(connection, number) and None


def records() -> Iterator[dict]:
    """The records of the messages on stdin."""
    for line in sys.stdin.buffer:
        message = orjson.loads(line)
        if message["type"] == "RECORD":
            yield message["record"]


def people(_connect: Callable[[], Connection]) -> Iterator[Task]:
    """Send 100 people at a time."""
    source = records()
    while rows := list(islice(source, 100)):
        body = orjson.dumps({"people": rows})
        yield lambda connection, body=body: connection.ask("PATCH", "people", body) and None


def contacts(_connect: Callable[[], Connection]) -> Iterator[Task]:
    """Look each contact up, and create it."""

    def put(connection: Connection, row: dict) -> None:
        email, phone = quote(row["email"]), quote(row["phone"])
        connection.ask("GET", f"contacts/lookup?email={email}&phone={phone}", fine=404)
        connection.ask("POST", "contacts/", orjson.dumps(row))

    for row in records():
        yield lambda connection, row=row: put(connection, row)


if __name__ == "__main__":
    what, api_url, token, connections = sys.argv[1:]

    def connect() -> Connection:
        return Connection(api_url, token)

    run(globals()[what](connect), connect, int(connections))
