"""Whole documents, decoded and encoded by qhub: equal to what Python's json reads, types and all.

    python3 scripts/conformance/json_documents.py FOLDER COMMAND...

COMMAND runs json_echo.lua.
"""

import json
import pathlib
import struct
import subprocess
import sys

echo = subprocess.Popen(sys.argv[2:], stdin=subprocess.PIPE, stdout=subprocess.PIPE)


def facts(text):
    # Integers and floats apart, and floats by their bits. An integer beyond 64 bits is a float to
    # qhub, and so is -0, whose sign no integer holds.
    def number(digits):
        value = int(digits)
        fits = -(2**63) <= value < 2**63 and digits != "-0"
        return ["int", value] if fits else ["float", float(digits).hex()]

    return json.loads(text, parse_int=number, parse_float=lambda s: ["float", float(s).hex()])


count = size = failed = 0
for path in sorted(pathlib.Path(sys.argv[1]).rglob("*.json")):
    data = path.read_bytes()
    echo.stdin.write(struct.pack("<q", len(data)) + data)
    echo.stdin.flush()
    out = []
    for _ in range(2):
        head = echo.stdout.read(8)
        if len(head) < 8:
            sys.exit(f"FAILED {path.name}: refused, or the process ended")
        out.append(echo.stdout.read(struct.unpack("<q", head)[0]))
    count, size = count + 1, size + len(data)
    if facts(data) != facts(out[0]):
        failed += 1
        print("FAILED", path.name)
echo.stdin.close()
failed += echo.wait() != 0
print(f"documents against Python's json: {count} of {size} bytes, {failed} failed")
sys.exit(failed != 0 or count < 20)
