"""A reverse proxy of FastAPI and httpx as tutorials write it: one shared client, bodies streamed."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
from fastapi import FastAPI, Request
from fastapi.responses import StreamingResponse
from starlette.background import BackgroundTask

BACKEND = "STRANGLER_BENCHMARK_BACKEND"
"""The environment variable with the backend's port."""


@asynccontextmanager
async def _client(app: FastAPI) -> AsyncIterator[None]:
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{os.environ[BACKEND]}") as client:
        app.state.client = client
        yield


app = FastAPI(lifespan=_client)


@app.api_route("/{path:path}", methods=["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
async def proxy(request: Request) -> StreamingResponse:
    client: httpx.AsyncClient = request.app.state.client
    url = httpx.URL(path=request.url.path, query=request.url.query.encode())
    onward = client.build_request(
        request.method, url, headers=request.headers.raw, content=await request.body()
    )
    answer = await client.send(onward, stream=True)
    return StreamingResponse(
        answer.aiter_raw(),
        status_code=answer.status_code,
        headers=answer.headers,
        background=BackgroundTask(answer.aclose),
    )
