"""Python's httpx as a contender.

httpx_client.py status URL COUNT
httpx_client.py statuses URL COUNT AT_ONCE
httpx_client.py file URL
"""
import asyncio
import sys

import httpx

HEADERS = {"authorization": "Bearer demo-token", "accept": "application/json"}


def status(url, count):
    with httpx.Client(headers=HEADERS) as client:
        for _ in range(int(count)):
            answer = client.get(url)
            assert answer.status_code == 200 and answer.json()["status"] == "SUCCEEDED"


def statuses(url, count, at_once):
    async def one(client):
        answer = await client.get(url)
        assert answer.status_code == 200 and answer.json()["status"] == "SUCCEEDED"

    async def all_of_them():
        limits = httpx.Limits(max_connections=int(at_once), max_keepalive_connections=int(at_once))
        async with httpx.AsyncClient(headers=HEADERS, limits=limits, timeout=None) as client:
            await asyncio.gather(*(one(client) for _ in range(int(count))))

    asyncio.run(all_of_them())


def file(url):
    total = 0
    with httpx.stream("GET", url, headers=HEADERS) as answer:
        for chunk in answer.iter_bytes():
            total += len(chunk)
    print(total)


{"status": status, "statuses": statuses, "file": file}[sys.argv[1]](*sys.argv[2:])
