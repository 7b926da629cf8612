"""Bearer tokens: refused, verified, remembered, their claims used and passed on. The override. Traces."""

import json
import time
from collections.abc import AsyncIterator
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from facade import jwks
from facade.config import TokenRules
from facade.override import issue
from facade.routing_key import RoutingKey
from flags.side import Side
from tests.integration.facade.harness import RecordingUpstream, Starting, ok

SECRET = "k" * 32
RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
EC = ec.generate_private_key(ec.SECP256R1())
AUTHENTICATED = frozenset({"search"})


def bearer(key: Any = SECRET, algorithm: str = "HS256", kid: str | None = None, **claims: Any) -> bytes:
    payload = {"sub": "anna", "exp": int(time.time()) + 60, **claims}
    token = jwt.encode(payload, key, algorithm=algorithm, headers={"kid": kid} if kid else None)
    return f"Authorization: Bearer {token}".encode()


def published(**keys: Any) -> bytes:
    listed = []
    for kid, key in keys.items():
        algorithm = RSAAlgorithm if isinstance(key, rsa.RSAPrivateKey) else ECAlgorithm
        listed.append({**algorithm.to_jwk(key.public_key(), as_dict=True), "kid": kid})
    return json.dumps({"keys": listed}).encode()


@pytest.fixture
async def issuer() -> AsyncIterator[RecordingUpstream]:
    upstream = await RecordingUpstream(ok(published(one=RSA, two=EC))).start()
    yield upstream
    await upstream.stop()


async def test_a_phase_that_wants_a_token_is_closed_to_others(start: Starting) -> None:
    rules = TokenRules(("HS256",), secret=SECRET, issuer="us", audience="shop")
    facade = await start(tokens=rules, authenticated=AUTHENTICATED)
    client = await facade.client()
    good = bearer(iss="us", aud="shop")
    answer = await client.get(b"/search")
    assert (answer.status, answer.values(b"www-authenticate")) == (401, [b"Bearer"])
    for bad in (
        b"Authorization: Bearer nonsense",
        bearer("x" * 32, iss="us", aud="shop"),
        bearer(iss="us", aud="shop", exp=int(time.time()) - 60),
        bearer(iss="them", aud="shop"),
        bearer(iss="us", aud="other"),
        bearer(iss="us", aud="shop", nbf=int(time.time()) + 100),
        bearer(None, "none", iss="us", aud="shop"),
        good + b"\r\n" + good,
    ):
        answer = await client.get(b"/search", bad)
        assert (answer.status, answer.values(b"www-authenticate")) == (401, [b'Bearer error="invalid_token"'])
    assert not facade.monolith.requests
    for _ in range(2):
        assert (await client.get(b"/search", good)).status == 200
    assert (await client.get(b"/elsewhere", b"Authorization: Bearer opaque")).status == 200
    assert facade.monolith.requests[-1].values(b"authorization") == [b"Bearer opaque"]


async def test_claims_are_the_routing_key_only_when_verified(start: Starting) -> None:
    key = {"search": RoutingKey.parse("jwt:sub")}
    facade = await start({"writes": 100}, routing_keys=key, tokens=TokenRules(("HS256",), secret=SECRET))
    facade.service.answer = ok(b"service")
    client = await facade.client()
    assert (await client.post(b"/search/saved", b"x", bearer())).body == b"service"
    assert (await client.post(b"/search/saved", b"x", bearer("forged" * 9))).body == b"hello"


async def test_claims_go_on_as_configured_and_never_as_claimed(start: Starting) -> None:
    forward = {"sub": "X-User-Id", "roles": "X-Roles", "name": "X-Name"}
    rules = TokenRules(("HS256",), secret=SECRET, forward=forward, forward_token=False)
    facade = await start(tokens=rules)
    client = await facade.client()
    lied = b"X-User-Id: root\r\nx_user_id: root\r\nX-Roles: admin\r\nX-Other: kept"
    await client.get(b"/", lied, bearer(roles=["a", 1], name="Zoë\r\nX-Evil: 1"))
    await client.get(b"/", lied)
    first, second = facade.monolith.requests
    assert first.values(b"x-user-id") == [b"anna"]
    assert first.values(b"x-roles") == [b'["a",1]']
    assert first.values(b"x-name") == [b"Zo%C3%AB%0D%0AX-Evil: 1"]
    for request in (first, second):
        assert request.values(b"x-other") == [b"kept"]
        assert not request.values(b"authorization")
        assert not request.values(b"x_user_id")
        assert not request.values(b"x-evil")
    assert not second.values(b"x-user-id") + second.values(b"x-roles")


async def test_keys_are_fetched_once_and_again_when_they_rotate(
    start: Starting, issuer: RecordingUpstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    rules = TokenRules(("RS256", "ES256"), jwks=f"http://127.0.0.1:{issuer.port}/keys")
    facade = await start(tokens=rules, authenticated=AUTHENTICATED)
    client = await facade.client()
    tokens = facade.worker.path.tokens
    assert tokens is not None
    keys = tokens.keys
    assert keys is not None
    await facade.until(lambda: keys.key("one"))
    withdrawn = bearer(RSA, "RS256", "one")
    assert (await client.get(b"/search", withdrawn)).status == 200
    assert (await client.get(b"/search", bearer(EC, "ES256", "two"))).status == 200
    assert (await client.get(b"/search", bearer(RSA, "RS256", "two"))).status == 401
    assert (await client.get(b"/search", bearer())).status == 401  # an algorithm that is not accepted
    fresh = ec.generate_private_key(ec.SECP256R1())
    assert (await client.get(b"/search", bearer(fresh, "ES256", "new"))).status == 401
    assert len(issuer.requests) == 1  # unknown keys cause no load
    issuer.answer = ok(published(new=fresh))
    monkeypatch.setattr(jwks, "PATIENCE", 0.0)
    answer = await client.get(b"/search", bearer(fresh, "ES256", "new"))
    assert (answer.status, answer.values(b"retry-after")) == (503, [b"1"])
    await facade.until(lambda: keys.key("new"))
    assert (await client.get(b"/search", bearer(fresh, "ES256", "new"))).status == 200
    assert (await client.get(b"/search", withdrawn)).status in {401, 503}


async def test_i6_an_issuer_that_fails_takes_no_keys_away(start: Starting, issuer: RecordingUpstream) -> None:
    rules = TokenRules(("RS256",), jwks=f"http://127.0.0.1:{issuer.port}/keys", refresh=0.02)
    facade = await start(tokens=rules, authenticated=AUTHENTICATED)
    tokens = facade.worker.path.tokens
    assert tokens is not None
    keys = tokens.keys
    assert keys is not None
    await facade.until(lambda: keys.key("one"))
    issuer.answer = ok(b"no keys")
    asked = len(issuer.requests)
    await issuer.until(lambda: len(issuer.requests) > asked + 1)
    client = await facade.client()
    assert (await client.get(b"/search", bearer(RSA, "RS256", "one"))).status == 200


async def test_an_override_chooses_who_reads_and_never_who_writes(start: Starting) -> None:
    facade = await start(override_secret=SECRET)
    facade.service.answer = ok(b"service")
    client = await facade.client()
    line = f"X-Strangler-Side: {issue(SECRET, Side.SERVICE, 'search', 60)}".encode()
    assert (await client.get(b"/search", line)).body == b"service"
    assert not facade.service.requests[0].values(b"x-strangler-side")
    assert (await client.post(b"/search/saved", b"x", line)).body == b"hello"
    assert (await client.get(b"/elsewhere", line)).body == b"hello"
    expired = f"X-Strangler-Side: {issue(SECRET, Side.SERVICE, None, -5)}".encode()
    for refused in (expired, b"X-Strangler-Side: service"):
        assert (await client.get(b"/search", refused)).status == 403


async def test_without_a_secret_nobody_chooses(start: Starting) -> None:
    facade = await start()
    client = await facade.client()
    line = f"X-Strangler-Side: {issue(SECRET, Side.SERVICE, None, 60)}".encode()
    assert (await client.get(b"/search", line)).body == b"hello"
    assert not facade.monolith.requests[0].values(b"x-strangler-side")


async def test_traces_are_passed_on_or_begun(start: Starting) -> None:
    facade = await start()
    client = await facade.client()
    parent = b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00"
    await client.get(b"/", b"traceparent: " + parent, b"tracestate: a=b")
    await client.get(b"/", b"traceparent: nonsense", b"tracestate: a=b")
    await client.get(b"/")
    kept, mended, begun = facade.monolith.requests
    assert (kept.values(b"traceparent"), kept.values(b"tracestate")) == ([parent], [b"a=b"])
    assert not mended.values(b"tracestate")
    for request in (mended, begun):
        [line] = request.values(b"traceparent")
        assert (line[:3], len(line)) == (b"00-", 55)
