"""Holds the simulator's answers against the vendor's OpenAPI document, which is in qhub-commons."""

import importlib.resources

import httpx
import jsonschema
import yaml
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

DOCUMENT = "openapi/service-api/openapi-service.yaml"
PATHS = {
    "list": ("get", "/"),
    "start": ("post", "/"),
    "status": ("get", "/{id}"),
    "result": ("get", "/{id}/result"),
    "file": ("get", "/{id}/result/{file}"),
    "log": ("get", "/{id}/log"),
    "cancel": ("put", "/{id}/cancel"),
}


class Contract:
    def __init__(self):
        text = importlib.resources.files("qhub.commons").joinpath(DOCUMENT).read_text()
        self.document = yaml.safe_load(text)
        resource = Resource(contents=self.document, specification=DRAFT202012)
        self.registry = Registry().with_resource("urn:vendor", resource)

    def violations(self, operation, response):
        """What an answer does that the document does not allow; a list of texts."""
        method, path = PATHS[operation]
        described = self.document["paths"][path][method]["responses"].get(str(response.status_code))
        if described is None:
            return [f"status {response.status_code} is not described"]
        found = [
            f"header {name} is missing"
            for name in described.get("headers", {})
            if name.lower() not in response.headers
        ]
        media = described.get("content", {})
        if "application/json" not in media:
            if not media and response.content:
                found.append("a body where none is described")
            return found
        if not response.headers.get("content-type", "").startswith("application/json"):
            found.append("content type " + response.headers.get("content-type", "none"))
        pointer = f"/paths/{path.replace('/', '~1')}/{method}/responses/{response.status_code}"
        schema = {"$ref": f"urn:vendor#{pointer}/content/application~1json/schema"}
        validator = jsonschema.Draft202012Validator(
            schema,
            registry=self.registry,
            format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER,
        )
        return found + [error.message for error in validator.iter_errors(response.json())]


class Checker:
    def __init__(self, base, control, token):
        self.contract, self.base, self.control = Contract(), base, control
        self.http = httpx.Client(headers={"Authorization": "Bearer " + token})
        self.checked, self.wrong = 0, []

    def settings(self, **values):
        self.http.delete(self.control + "/_control/settings")
        self.http.post(self.control + "/_control/settings", json=values)

    def call(self, operation, id="", file="", body=None, violates=False):
        method, path = PATHS[operation]
        url = self.base + path.replace("{id}", id).replace("{file}", file)
        response = self.http.request(method, url, json=body)
        found = self.contract.violations(operation, response)
        self.checked += 1
        if bool(found) != violates:
            self.wrong.append(f"{operation}: {found or 'no violation where one was made'}")
        return response

    def start(self, body):
        return self.call("start", body=body).json()["id"]

    def kept(self):
        """Answers that keep to the document, whatever the run's end."""
        id = self.start({"input": {"molecule": "H2"}, "$tags": ["demo"], "$secrets": {"K": "v"}})
        self.settings(extra=True)
        for setting in ({}, {"extra": True}, {"problem": True}):
            self.settings(**setting)
            for operation in ("list", "status", "result", "log"):
                self.call(operation, id)
        for name in ("hello.txt", "plot.svg", "result.bin", "SHA256SUMS", "output.json"):
            self.call("file", id, name)
        self.call("cancel", id)
        running = self.start({"simulate": {"running_ms": 600000}})
        for operation in ("status", "log", "cancel", "result", "status"):
            self.call(operation, running)
        for problem in (False, True, {"title": "t", "detail": "d"}):
            failed = self.start({"simulate": {"outcome": "FAILED", "problem": problem}})
            self.call("result", failed)
        self.call("result", self.start({"simulate": {"result": "plain"}}))
        self.settings(logs="204")
        self.call("log", self.start({}))
        return id

    def broken(self, id):
        """A check that finds nothing is worth nothing: answers with a mistake made on purpose."""
        made = [
            ({"snake_case": True}, "list"),
            ({"snake_case": True}, "start"),
            ({"status_value": "PAUSED"}, "status"),
            ({"iso_dates": True}, "status"),
            ({"links": "array"}, "result"),
            ({"logs": "strings"}, "log"),
            ({"cancel_status": 200}, "cancel"),
            ({"start_status": 299}, "start"),
        ]
        for setting, operation in made:
            self.settings(**setting)
            self.call(operation, id, body={} if operation == "start" else None, violates=True)
        self.settings()


def check(base, control, token):
    """Returns a list of what is wrong, and the number of answers looked at."""
    checker = Checker(base, control, token)
    checker.http.delete(control + "/_control/executions")
    checker.broken(checker.kept())
    return checker.wrong, checker.checked
