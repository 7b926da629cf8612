"""An upstream that may be killed at any instant: what it has done is in a file that outlives it.

Arguments: the port and the file. A POST's body is its id: it is noted, then acknowledged. Prints a line as
soon as it listens. It needs nothing but the standard library's smallest parts, so that it starts at once.
"""

import os
import socket
import sys
import threading
import time

WORK = 0.004
"""Seconds of work before and behind the noting, in which it may be killed."""


def serve(connection: socket.socket, notes: int) -> None:
    stream = connection.makefile("rb")
    try:
        while line := stream.readline():
            length = 0
            while (field := stream.readline()) not in {b"\r\n", b""}:
                name, _, value = field.partition(b":")
                if name.lower() == b"content-length":
                    length = int(value)
            body = stream.read(length)
            time.sleep(WORK)
            if line.startswith(b"POST"):
                os.write(notes, body + b"\n")
            time.sleep(WORK)
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))
    except OSError:
        pass
    finally:
        connection.close()


def main() -> None:
    notes = os.open(sys.argv[2], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    listening = socket.socket()
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    listening.bind(("127.0.0.1", int(sys.argv[1])))
    listening.listen(512)
    sys.stdout.write("listening\n")
    sys.stdout.flush()
    while True:
        connection, _ = listening.accept()
        threading.Thread(target=serve, args=(connection, notes), daemon=True).start()


if __name__ == "__main__":
    main()
