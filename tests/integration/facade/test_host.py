"""By which name an upstream is called."""

import ssl
from pathlib import Path

import pytest

from facade.config import Trust
from facade.tls import server_context
from tests.integration.facade.authority import Authority
from tests.integration.facade.harness import Facade, RecordingUpstream, Starting, ok


def told(upstream: RecordingUpstream) -> tuple[list[bytes], list[bytes]]:
    request = upstream.requests[-1]
    return request.values(b"host"), request.values(b"x-forwarded-host")


async def test_the_clients_name_is_kept_unless_the_upstream_wants_its_own(start: Starting) -> None:
    plain = await start()
    await (await plain.client()).get(b"/")
    assert told(plain.monolith) == ([b"shop.test"], [b"shop.test"])
    renaming = await start(monolith=RecordingUpstream(own_host=True))
    client = await renaming.client()
    own = b"127.0.0.1:%d" % renaming.monolith.port
    await client.get(b"/")
    assert told(renaming.monolith) == ([own], [b"shop.test"])
    await client.get(b"/", b"X-Forwarded-Host: forged.test")
    assert told(renaming.monolith) == ([own], [b"shop.test"])
    await client.get(b"http://shop.test//a?b")
    assert renaming.monolith.requests[-1].line == b"GET //a?b HTTP/1.1"
    old = await renaming.client()
    await old.ask(b"GET / HTTP/1.0\r\n\r\n")
    assert told(renaming.monolith) == ([own], [])


async def test_what_a_trusted_hop_says_of_the_outer_name_stays(start: Starting) -> None:
    facade = await start(monolith=RecordingUpstream(own_host=True), trusted_proxies=("127.0.0.0/8",))
    await (await facade.client()).get(b"/", b"X-Forwarded-Host: outer.test")
    assert told(facade.monolith)[1] == [b"outer.test"]


@pytest.mark.parametrize("own_host", [False, True])
async def test_its_own_name_does_not_come_back(start: Starting, *, own_host: bool) -> None:
    facade = await start(monolith=RecordingUpstream(own_host=own_host))
    itself = b"http://127.0.0.1:%d/new" % facade.monolith.port
    facade.monolith.answer = ok(b"", b"Location: " + itself, b"Set-Cookie: a=b; Domain=127.0.0.1; Path=/")
    answer = await (await facade.client()).get(b"/old")
    assert answer.values(b"location") == [b"/new" if own_host else itself]
    assert answer.values(b"set-cookie") == [b"a=b; Path=/" if own_host else b"a=b; Domain=127.0.0.1; Path=/"]


@pytest.mark.parametrize("own_host", [False, True])
async def test_a_shadow_is_called_as_its_own_side_wants(start: Starting, *, own_host: bool) -> None:
    facade: Facade = await start({"shadow": 100}, monolith=RecordingUpstream(own_host=own_host))
    await (await facade.client()).get(b"/search")
    await facade.service.until(lambda: len(facade.service.requests) == 1)
    assert told(facade.service)[0] == [b"shop.test"]
    await (await facade.client()).ask(b"GET /search HTTP/1.0\r\n\r\n")
    await facade.service.until(lambda: len(facade.service.requests) == 2)
    assert told(facade.service)[0] == [b"127.0.0.1:%d" % facade.service.port]


@pytest.mark.parametrize("own_host", [False, True])
async def test_tls_names_the_upstream_itself(start: Starting, tmp_path: Path, *, own_host: bool) -> None:
    authority = Authority(tmp_path).found()
    tls = server_context(authority.certificate("monolith", "DNS:localhost"))
    names: list[str | None] = []

    def note(_socket: ssl.SSLObject, name: str | None, _context: ssl.SSLContext) -> None:
        names.append(name)

    tls.sni_callback = note
    monolith = RecordingUpstream(host="localhost", tls=tls, trust=Trust(authority.root), own_host=own_host)
    facade = await start(monolith=monolith)
    assert (await (await facade.client()).get(b"/")).status == 200
    assert set(names) == {"localhost"}
    expected = b"localhost:%d" % monolith.port if own_host else b"shop.test"
    assert told(monolith)[0] == [expected]
