"""Runs qhub and the vendor's packages against one another. See ../interop.sh."""

import contextlib
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import warnings

with warnings.catch_warnings(record=True):  # the packages warn of one another when loaded
    import clients
    import contract
    import credentials

HERE = pathlib.Path(__file__).resolve().parent
TOP = HERE.parent.parent
LUA = [str(TOP / "scripts/with_build.sh"), os.environ.get("QHUB_BUILD", "build")]
LUA.append(os.environ.get("LUA", "lua5.4"))
STARTS = 200


class Server:
    """A child with a process group of its own, and what it prints."""

    def __init__(self, command, log, pattern):
        self.path = pathlib.Path(log)
        with open(log, "wb") as out:
            self.child = subprocess.Popen(
                command,
                stdout=out,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )
        deadline = time.monotonic() + 30
        while not (found := re.search(pattern, self.text())):
            if self.child.poll() is not None or time.monotonic() > deadline:
                self.stop()
                sys.exit(f"interop: {command[0]} did not start:\n{self.text()}")
            time.sleep(0.05)
        self.found = found

    def text(self):
        return self.path.read_text(errors="replace")

    def stop(self):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.child.pid, signal.SIGTERM)
        try:
            self.child.wait(5)
        except subprocess.TimeoutExpired:
            os.killpg(self.child.pid, signal.SIGKILL)
            self.child.wait()


def run_lua(*words):
    done = subprocess.run([*LUA, *map(str, words)], capture_output=True, text=True, timeout=120)
    if done.returncode != 0:
        raise AssertionError(done.stdout + done.stderr)
    return done.stdout


def emulation(folder):
    """(a) qhub against qhub-serve."""
    workspace = folder / "workspace"
    (workspace / "src").mkdir(parents=True)
    (workspace / "src/__init__.py").touch()
    shutil.copy(HERE / "program.py", workspace / "src")
    command = [str(pathlib.Path(sys.executable).parent / "qhub-serve"), "--port", "0"]
    command += ["--workspace", str(workspace)]
    ready = r"(?s)running on (http://[0-9.]+:\d+).*startup complete"
    server = Server(command, folder / "serve.log", ready)
    base = server.found[1]
    try:
        run_lua(HERE / "emulation.lua", base, folder)
        before = server.text().count('"POST / HTTP')
        out = run_lua(HERE / "starts.lua", base, STARTS)
        failed = [int(number) for number in re.findall(r"after-\w+\s+(\d+)", out)]
        time.sleep(0.2)
        posts = server.text().count('"POST / HTTP') - before
    finally:
        server.stop()
    print(f"   starts of {STARTS} that failed: after a 500 {failed[0]}, after 5 s idle {failed[1]}")
    print(f"   the server saw {posts} POSTs of {2 * STARTS + 1}")
    wrong = [f"{sum(failed)} starts failed"] if any(failed) else []
    if posts != 2 * STARTS + 1:
        wrong.append(f"{posts} POSTs arrived, not {2 * STARTS + 1}")
    return wrong


def simulator(folder):
    command = [*LUA, str(TOP / "examples/gateway/main.lua"), "--idle", "120"]
    command += ["--set", "pending_ms=0", "--set", "running_ms=0"]
    return Server(command, folder / "gateway.log", r"READY \d+ (\S+) control=(\S+)")


def against_simulator(folder):
    """(b), (c) and (d): the vendor's clients, both clients' requests, the vendor's document."""
    server = simulator(folder)
    base, control = server.found[1], server.found[2]
    try:
        clients.high_level(base, control, folder)
        print("   qhub-service: run, wait, result, files, logs, list, cancel: as it expects")
        script = str(HERE / "operations.lua")
        wrong, table = clients.compare(base, control, "demo-token", LUA, script)
        print("   qhub-api: each operation: as it expects; requests beside those of qhub:")
        for (name, theirs, ours), operations in sorted(table.items()):
            print(f"     {name:16} {theirs:28} {ours:28} {len(operations):2}", end="  ")
            print(clients.INTENDED[name])
        wrong += clients.lineage(base, control, LUA)
        found, checked = contract.check(base, control, "demo-token")
        print(f"   {checked} answers of the simulator held against the vendor's OpenAPI document")
    finally:
        server.stop()
    return wrong + found


def environment_tokens():
    """(e) The two default resolutions."""
    wrong, equal = credentials.check(LUA)
    print(f"   {equal} of {len(credentials.CASES)} cases of the default credentials are equal")
    return wrong


def main():
    wrong = []
    for title, part in (
        ("the vendor's clients and document, against the simulator", against_simulator),
        ("qhub, against the vendor's qhub-serve", emulation),
    ):
        print("interop:", title, flush=True)
        with tempfile.TemporaryDirectory() as folder:
            wrong += part(pathlib.Path(folder))
    print("interop: credentials", flush=True)
    wrong += environment_tokens()
    for one in wrong:
        print("interop: WRONG:", one)
    sys.exit(1 if wrong else 0)


main()
