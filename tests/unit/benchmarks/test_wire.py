import socket
import threading

from benchmarks.wire import tapped


def test_it_counts_what_both_ends_say() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            there, _ = server.accept()
            with there:
                heard = b""
                while data := there.recv(1024):
                    heard += data
                there.sendall(heard * 2)

        answering = threading.Thread(target=answer)
        answering.start()
        port = server.getsockname()[1]
        with tapped(f"postgresql://someone@127.0.0.1:{port}/any") as (url, wire):
            tap = int(url.rpartition(":")[2].partition("/")[0])
            assert tap != port
            with socket.create_connection(("127.0.0.1", tap)) as client:
                client.sendall(b"x" * 100_000)
                client.shutdown(socket.SHUT_WR)
                told = b""
                while data := client.recv(1 << 16):
                    told += data
        answering.join()
    assert len(told) == 200_000
    assert wire.bytes == 300_000
