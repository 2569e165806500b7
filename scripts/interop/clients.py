"""The vendor's two clients against the simulator, and their requests beside those of qhub."""

import json
import os
import subprocess

import httpx
from qhub.api.service import HubServiceClient as ApiClient
from qhub.service.client import HubServiceClient as ServiceClient

DONE = {"pending_ms": 0, "running_ms": 0}
PARENT = "KQH_SERVICE_EXECUTION_TOKEN"
FILE = "a b ü.txt"
ID = "run 1"
SECRETS, TAGS = {"API_KEY": "interop-secret"}, ["demo", "ü"]


def body(**members):
    simulate = {**DONE, "id": ID, "files": {FILE: "content"}}
    values = {"values": [1, 2.5, None], "deep": {"list": [], "text": "a\x7fü"}}
    return {**values, **members, "simulate": simulate}


def low_level(base, token):
    """Each operation of qhub-api once, in the order of operations.lua."""
    api = ApiClient(base_url=base, token=token, max_retries=0).service_api
    assert api.start_execution(request=body()).id == ID
    execution = api.start_execution(request=body(**{"$tags": TAGS, "$secrets": SECRETS}))
    assert execution.status == "SUCCEEDED" and execution.tags == TAGS, execution
    assert api.get_status(ID).id == ID
    result = api.get_result(ID)
    assert result.embedded.status.status == "SUCCEEDED"
    assert result.energy < 0
    assert b"".join(api.get_result_file(ID, FILE)) == b"content"
    logs = api.get_logs(ID)
    assert logs and logs[0].timestamp.year > 2000 and logs[0].message
    api.cancel_execution(ID)
    assert {entry.id for entry in api.get_service_executions()} == {ID}


def high_level(base, origin, folder):
    """What a program does with qhub-service, with tokens of the simulator's token endpoint."""
    service = ServiceClient(base, "demo-key", "demo-secret", token_endpoint=origin + "/token")
    request = {"input": {"molecule": "H2"}, "simulate": {"pending_ms": 0, "running_ms": 50}}
    execution = service.run(request, tags=TAGS, secrets=SECRETS)
    execution.wait_for_final_state(timeout=20, wait=0.05)
    assert execution.has_finished and execution.status == "SUCCEEDED"
    result = execution.result()
    assert result.data()["molecule"] == "H2" and result.metadata().id == execution.id
    assert {"hello.txt", "output.json"} <= set(execution.result_files())
    execution.download_result_file("hello.txt", str(folder))
    assert (folder / "hello.txt").read_text() == f"Hello from execution {execution.id}!\n"
    assert execution.logs()[0].severity == "INFO"
    assert service.get_service_execution(execution.id).id == execution.id
    assert execution.id in {one.id for one in service.get_service_executions()}
    long = service.run({"simulate": {"running_ms": 600000}})
    long.cancel()
    long.wait_for_final_state(timeout=5, wait=0.05)
    assert long.status == "CANCELLED"
    failed = service.run({"simulate": {**DONE, "outcome": "FAILED", "problem": {"title": "T"}}})
    assert failed.result().data()["title"] == "T"


# Every difference that is meant, by header; anything else is an error.
INTENDED = {
    "path": "qhub asks for <base>/, as the vendor's document has it; qhub-api for <base> as given",
    "accept": "qhub names what it reads; httpx sends */*",
    "accept-encoding": "each what its HTTP library can undo; qhub asks for lists, results, logs",
    "connection": "httpx sends keep-alive, the default of HTTP/1.1 anyway",
    "content-length": "the JSON text differs in blanks and escapes, not in value",
    "user-agent": "each its own name",
    "x-fern-language": "telemetry of the generated client",
    "x-fern-platform": "telemetry of the generated client",
    "x-fern-runtime": "telemetry of the generated client",
}


def shown(value):
    text = "(none)" if value is None else str(value)
    return text if len(text) <= 36 else text[:33] + "..."


class Comparison:
    def __init__(self, base):
        self.base, self.wrong, self.table = base, [], {}

    def note(self, name, operation, theirs, ours):
        if name == "path" and ours == theirs + "/" and self.base.endswith(theirs):
            pass
        elif name not in INTENDED or name == "path":
            self.wrong.append(f"{operation}: {name}: vendor {theirs!r}, qhub {ours!r}")
            return
        self.table.setdefault((name, shown(theirs), shown(ours)), []).append(operation)

    def one(self, theirs, ours):
        operation = theirs["operation"]
        if theirs["method"] != ours["method"]:
            self.wrong.append(f"{operation}: method {theirs['method']} and {ours['method']}")
        if theirs["target"] != ours["target"]:
            self.note("path", operation, theirs["target"], ours["target"])
        ours_body, theirs_body = (one.get("body") or "null" for one in (ours, theirs))
        if json.loads(ours_body) != json.loads(theirs_body):
            self.wrong.append(f"{operation}: body {theirs_body} and {ours_body}")
        for name in sorted({*theirs["headers"], *ours["headers"]}):
            one, other = theirs["headers"].get(name), ours["headers"].get(name)
            if one != other:
                self.note(name, operation, one, other)


def recorded(control, action):
    httpx.delete(control + "/_control/executions")
    httpx.delete(control + "/_control/requests")
    action()
    return httpx.get(control + "/_control/requests").json()["requests"]


LIST = """
local qhub = require "qhub"
local service <close> = qhub.HubServiceClient { base_url = arg[1], token = "demo-token" }
assert(service:get_service_executions())
"""


def lineage(base, control, lua):
    """Inside a run both clients send the token of that run. Returns what is wrong."""
    seen = []

    def vendor():
        service = ServiceClient(base, "demo-key", "demo-secret", token_endpoint=control + "/token")
        service.get_service_executions()

    def qhub():
        subprocess.run([*lua, "-", base], input=LIST, text=True, check=True, timeout=60)

    os.environ[PARENT] = "interop-parent"
    try:
        for action in (vendor, qhub):
            asked = [one for one in recorded(control, action) if one["operation"] != "token"]
            seen.append([one["headers"].get("x-parent-execution-token") for one in asked])
    finally:
        del os.environ[PARENT]
    expected = [["interop-parent"]] * 2
    return [] if seen == expected else [f"X-Parent-Execution-Token of vendor and qhub: {seen}"]


def compare(base, control, token, lua, script):
    """Both clients do the same against one recorder. Returns what is wrong, and the table."""

    def qhub():
        subprocess.run([*lua, script, base], check=True, timeout=60)

    theirs = recorded(control, lambda: low_level(base, token))
    ours = recorded(control, qhub)
    comparison = Comparison(base)
    names = [[request["operation"] for request in side] for side in (theirs, ours)]
    if names[0] != names[1]:
        comparison.wrong.append(f"the order of operations: {names[0]} and {names[1]}")
    for pair in zip(theirs, ours):
        comparison.one(*pair)
    return comparison.wrong, comparison.table
