"""The plan that moves all of isso from one server to another."""

from pathlib import Path

from migration.demo.processes import free_port
from tests.real.isso.server import Isso

# What moves is isso's whole interface. Two of its POSTs only read, and one of its GETs writes: the link in a
# mail that ends a subscription. A moderation link's GET only asks for confirmation.
_PLAN = """
[monolith]
url = "{monolith.url}"
database = "sqlite:///{monolith.database}"

[facade]
listen = "127.0.0.1:{facade}"
admin = "127.0.0.1:{admin}"
workers = 2
trusted_proxies = ["127.0.0.1/32"]   # the visitors' addresses arrive in X-Forwarded-For

[facade.timeouts]
hold = 10.0   # a shared test machine may be slow; visitors must not see it

[[phases]]
name = "comments"
routes = [
  "GET /",
  "POST /new",
  {{ method = "POST", path = "/count", kind = "read" }},
  {{ method = "POST", path = "/preview", kind = "read" }},
  "GET /feed",
  "GET /latest",
  "* /id/{{id}}",
  "POST /id/{{id}}/like",
  "POST /id/{{id}}/dislike",
  {{ method = "GET", path = "/id/{{id}}/unsubscribe/{{email}}/{{key}}", kind = "write" }},
  "* /id/{{id}}/{{action}}/{{key}}",
  "GET /config",
  "GET /info",
  "GET /demo/",
  "GET /admin/",
  {{ method = "POST", path = "/login/", kind = "read" }},   # it answers with a cookie, and stores nothing
]

[phases.service]
url = "{service.url}"
database = "sqlite:///{service.database}"

[[phases.tables]]
monolith = "threads"

[[phases.tables]]
monolith = "comments"

[[phases.tables]]
monolith = "preferences"   # holds the key that signs the cookies with which visitors edit

[phases.gates]
min_samples = 40
min_idle_days = 0
min_match_rate = 0.9   # which 40 equal answers prove
"""


class IssoPlan:
    """The plan written to ``directory``, and the address at which its facade listens."""

    def __init__(self, directory: Path, monolith: Isso, service: Isso) -> None:
        facade, admin = free_port(), free_port()
        self.url = f"http://127.0.0.1:{facade}"
        self.admin = f"http://127.0.0.1:{admin}"
        self.file = directory / "strangler.toml"
        self.file.write_text(_PLAN.format(monolith=monolith, service=service, facade=facade, admin=admin))
