"""Compares credentials.default with the vendor's DefaultCredentialsProvider, case by case."""

import json
import logging
import os
import subprocess
import tempfile

from qhub.api.credentials import CredentialUnavailableError, DefaultCredentialsProvider

VARIABLES = [
    "KQH_SERVICE_EXECUTION_TOKEN",
    "KQH_PERSONAL_ACCESS_TOKEN",
    "PLANQK_SERVICE_EXECUTION_TOKEN",
    "SERVICE_EXECUTION_TOKEN",
    "PLANQK_PERSONAL_ACCESS_TOKEN",
]
FILES = ["KQH_CONFIG_FILE_PATH", "PLANQK_CONFIG_FILE_PATH"]
QHUBCTL, LEGACY = ".config/qhubctl/config.json", ".config/planqk/config.json"

SCRIPT = """
local qhub = require "qhub"
local token, err = qhub.credentials.default { access_token = arg[1] }
io.write(token and "token " .. token or "error " .. tostring(err))
"""


def config(value):
    return json.dumps({"auth": {"type": "API_KEY", "value": value}})


def after(name):
    """Every variable from this one on is set to its own name."""
    return {name: name for name in VARIABLES[VARIABLES.index(name) :]}


# (what it is, given value, environment, files below HOME); a value that begins with ~/ is a path.
FULL = {QHUBCTL: config("qhubctl"), LEGACY: config("legacy"), "named.json": config("named")}
CASES = [
    ("the given value", "given", after(VARIABLES[0]), FULL),
    *[("the variable " + name, None, after(name), FULL) for name in VARIABLES],
    ("an empty variable", None, {VARIABLES[0]: "", VARIABLES[1]: "second"}, {}),
    ("a variable with blanks around", None, {VARIABLES[1]: " x "}, {}),
    ("the file of KQH_CONFIG_FILE_PATH", None, {FILES[0]: "~/named.json", FILES[1]: "~/no"}, FULL),
    ("the file of PLANQK_CONFIG_FILE_PATH", None, {FILES[0]: "", FILES[1]: "~/named.json"}, FULL),
    ("the file of qhubctl", None, {"XDG_CONFIG_HOME": "~/xdg"}, FULL),
    ("the legacy file", None, {}, {LEGACY: config("legacy")}),
    ("a named file that is missing", None, {FILES[0]: "~/missing.json"}, FULL),
    ("a broken file before a good one", None, {}, {QHUBCTL: "{", LEGACY: config("legacy")}),
    ("a file without auth.value", None, {}, {QHUBCTL: "{}", LEGACY: config("legacy")}),
    ("a folder in place of the file", None, {FILES[0]: "~/.config"}, FULL),
    ("nothing at all", None, {}, {}),
]
# Where we differ on purpose: the vendor returns what the file says, also when it is no token.
STRICTER = [
    ("an empty auth.value", None, {}, {QHUBCTL: config("")}),
    ("an auth.value that is null", None, {}, {QHUBCTL: config(None)}),
    ("an auth.value with a line break", None, {}, {QHUBCTL: config("a\nb")}),
]


def prepared(home, environment, files):
    for name, content in files.items():
        path = os.path.join(home, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w") as file:
            file.write(content)
    made = {key: value for key, value in os.environ.items() if key not in VARIABLES + FILES}
    made.pop("XDG_CONFIG_HOME", None)
    made["HOME"] = home
    for name, value in environment.items():
        made[name] = home + value[1:] if value.startswith("~/") else value
    return made


def of_vendor(given, environment):
    kept = dict(os.environ)
    os.environ.clear()
    os.environ.update(environment)
    try:
        return "token " + str(DefaultCredentialsProvider(given).get_access_token())
    except CredentialUnavailableError:
        return "error"
    finally:
        os.environ.clear()
        os.environ.update(kept)


def of_qhub(lua, given, environment):
    command = [*lua, "-", *([given] if given else [])]
    done = subprocess.run(command, input=SCRIPT, env=environment, capture_output=True, text=True)
    return done.stdout or "crashed: " + done.stderr


def check(lua):
    """Returns a list of what differs, and the number of cases that are equal."""
    logging.disable()  # the vendor's provider warns of each failure
    wrong, equal = [], 0
    for case, expect_error in [*((c, False) for c in CASES), *((c, True) for c in STRICTER)]:
        what, given, environment, files = case
        with tempfile.TemporaryDirectory() as home:
            environment = prepared(home, environment, files)
            theirs, ours = of_vendor(given, environment), of_qhub(lua, given, environment)
        refused = theirs == "error" or expect_error
        same = ours.startswith("error ") if refused else ours == theirs
        equal += same and not expect_error
        if not same:
            wrong.append(f"{what}: vendor {theirs!r}, qhub {ours!r}")
    return wrong, equal
