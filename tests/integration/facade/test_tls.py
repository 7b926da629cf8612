"""TLS to clients and to upstreams, and addresses of version 6."""

import asyncio
import os
import ssl
import sys
import threading
from pathlib import Path
from typing import cast

import pytest

from facade.config import Certificate, Trust
from facade.errors import TlsError
from facade.tls import Renewal, client_context, server_context
from tests.integration.facade.authority import Authority
from tests.integration.facade.harness import Client, Facade, RecordingUpstream, Starting


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path).found()


async def connect(facade: Facade, context: ssl.SSLContext) -> Client:
    client = Client(*await asyncio.open_connection("127.0.0.1", facade.port, ssl=context))
    facade.stack.callback(client.close)
    return client


def shown(client: Client) -> str:
    """The name in the certificate that the client was shown."""
    certificate = cast("dict[str, tuple[tuple[tuple[str, str]]]]", client.writer.get_extra_info("peercert"))
    return certificate["subject"][0][0][1]


async def test_clients_speak_tls_and_a_renewed_certificate_drops_nobody(
    start: Starting, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = threading.Event()
    monkeypatch.setattr("facade.tls.LOOK", 0.01)
    monkeypatch.setattr("facade.tls.logger.error", lambda *_: told.set())
    served = authority.certificate("served")
    context = Renewal(served)(None, lambda: None)  # type: ignore[arg-type,return-value]  # unused here
    facade = await start(tls=context)
    trusting = ssl.create_default_context(cafile=authority.root)
    before = await connect(facade, trusting)
    assert (await before.post(b"/", b"x" * 300_000)).status == 200
    assert facade.monolith.requests[0].values(b"x-forwarded-proto") == [b"https"]
    assert shown(before) == "served"

    async def until_shown(name: str) -> None:
        async with asyncio.timeout(30):
            while shown(await connect(facade, trusting)) != name:
                pass  # a connection takes its time

    authority.replace("served", "renewed")
    await until_shown("renewed")
    assert (await before.get(b"/")).status == 200
    told.clear()
    authority.spoil("served")
    assert await asyncio.to_thread(told.wait, 8)
    await until_shown("renewed")
    authority.replace("served", "last")
    await until_shown("last")
    assert (await before.get(b"/")).status == 200


async def test_tls_and_its_refusals_end_cleanly(start: Starting, authority: Authority) -> None:
    facade = await start(tls=server_context(authority.certificate("served")))
    trusting = ssl.create_default_context(cafile=authority.root)
    client = await connect(facade, trusting)
    assert (await client.ask(b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n")).status == 400
    plain = await facade.client()
    await plain.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    assert await plain.closed()
    assert not facade.monolith.requests


async def test_a_client_that_goes_away_behind_tls_is_noticed_while_it_is_held(
    start: Starting, authority: Authority
) -> None:
    context = server_context(authority.certificate("served"))
    facade = await start({"hold": "switch-1"}, tls=context)
    client = await connect(facade, ssl.create_default_context(cafile=authority.root))
    await client.send(
        b"POST /search/saved HTTP/1.1\r\nHost: a\r\nContent-Length: 200000\r\n\r\n" + b"x" * 150_000
    )
    await facade.until(lambda: len(facade.worker.path.holds) == 1)
    client.writer.transport.abort()
    await facade.until(lambda: len(facade.worker.path.holds) == 0)
    assert not facade.monolith.connections


async def asked(start: Starting, authority: Authority, trust: Trust, *, demanding: bool = False) -> int:
    """The status of a request to a monolith that speaks TLS; ``demanding``: only with clients it knows."""
    tls = server_context(authority.certificate("monolith"))
    if demanding:
        tls.verify_mode = ssl.CERT_REQUIRED
        tls.load_verify_locations(authority.root)
    facade = await start(monolith=RecordingUpstream(tls=tls, trust=trust))
    client = await facade.client()
    return (await client.post(b"/", b"x" * 300_000)).status


async def test_upstreams_are_verified(start: Starting, authority: Authority) -> None:
    assert await asked(start, authority, Trust(authority.root)) == 200
    assert await asked(start, authority, Trust()) == 502
    assert await asked(start, authority, Trust(verify=False)) == 200


async def test_the_name_of_an_upstream_is_verified(start: Starting, authority: Authority) -> None:
    tls = server_context(authority.certificate("monolith", "DNS:other.test"))
    facade = await start(monolith=RecordingUpstream(tls=tls, trust=Trust(authority.root)))
    assert (await (await facade.client()).get(b"/")).status == 502


async def test_an_upstream_is_shown_a_certificate(start: Starting, authority: Authority) -> None:
    mine = authority.certificate("facade")
    assert await asked(start, authority, Trust(authority.root, mine), demanding=True) == 200
    assert await asked(start, authority, Trust(authority.root), demanding=True) == 502


def test_files_that_cannot_be_used_are_named_with_what_to_do(authority: Authority) -> None:
    good, other = authority.certificate("good"), authority.certificate("other")
    nothing = str(authority.directory / "nothing.pem")
    broken = authority.directory / "broken.pem"
    broken.write_text("broken")
    for wrong in (
        Certificate(nothing, good.key),
        Certificate(str(broken), good.key),
        Certificate(good.chain, other.key),
    ):
        with pytest.raises(TlsError, match=r"cannot be used \(.+\)\. Name a PEM file") as error:
            server_context(wrong)
        assert wrong.chain in str(error.value)
    for authorities in (nothing, str(broken)):
        with pytest.raises(TlsError, match=authorities):
            client_context(Trust(authorities))


async def test_version_6_on_both_sides(start: Starting) -> None:
    facade = await start(monolith=RecordingUpstream(host="::1"), host="::1", trusted_proxies=("::1/128",))
    client = Client(*await asyncio.open_connection("::1", facade.port))
    answer = await client.ask(b"GET / HTTP/1.0\r\nX-Forwarded-For: 2001:db8::1\r\n\r\n")
    assert answer.body == b"hello"
    (request,) = facade.monolith.requests
    assert request.values(b"host") == [b"[::1]:%d" % facade.monolith.port]
    assert request.values(b"x-forwarded-for") == [b"2001:db8::1, ::1"]
    assert request.values(b"forwarded") == [b'for="[::1]";proto=http']
    client.close()


async def test_workers_speak_tls(authority: Authority, tmp_path: Path) -> None:
    upstream = await RecordingUpstream().start()
    served = authority.certificate("served")
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.integration.facade.static_facade", "127.0.0.1:0"),
        *(str(upstream.port), str(upstream.port), str(tmp_path)),
        stdout=asyncio.subprocess.PIPE,
        cwd=Path(__file__).parents[3],
        env={**os.environ, "STATIC_CERTIFICATE": f"{served.chain},{served.key}"},
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(30):
            port = int(await process.stdout.readline())
            trusting = ssl.create_default_context(cafile=authority.root)
            client = Client(*await asyncio.open_connection("127.0.0.1", port, ssl=trusting))
            await client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            assert (await client.reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200")
        client.close()
        process.terminate()
        async with asyncio.timeout(30):
            await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()
        await upstream.stop()
    assert upstream.requests[0].values(b"x-forwarded-proto") == [b"https"]
