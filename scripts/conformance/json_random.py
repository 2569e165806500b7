"""Random numbers and strings, to qhub and back: every bit the same on both sides.

    python3 scripts/conformance/json_random.py COUNT COMMAND...

COMMAND runs json_echo.lua. Doubles are random bits of all exponents, short decimals, and the
neighbours of powers of ten and two; integers are of all sizes up to 64 bits; strings are of
characters of all planes, control characters, NUL and quotes. Sent compact, indented and escaped to ASCII.
"""

import json
import math
import random
import struct
import subprocess
import sys

count = int(sys.argv[1])
seed = random.randrange(1 << 32)
rng = random.Random(seed)
echo = subprocess.Popen(sys.argv[2:], stdin=subprocess.PIPE, stdout=subprocess.PIPE)


def double():
    kind = rng.randrange(4)
    if kind == 0:
        value = struct.unpack("<d", rng.randbytes(8))[0]
        return value if math.isfinite(value) else double()
    if kind == 1:
        return round(rng.uniform(-1000, 1000), rng.randrange(12))
    base = 10.0 ** rng.randrange(-300, 300) if kind == 2 else 2.0 ** rng.randrange(-1074, 1023)
    return rng.choice([base, -base, math.nextafter(base, 0), math.nextafter(base, math.inf)])


def integer():
    bits = rng.randrange(1, 64)
    value = rng.randrange(1 << bits)
    return rng.choice([value, -value, (1 << bits) - 1, -(1 << bits)])


def character():
    kind = rng.randrange(8)
    if kind < 4:
        return chr(rng.randrange(128))
    if kind < 6:
        return chr(rng.randrange(0xD800))
    return chr(rng.randrange(0xE000, 0x110000))


def string():
    return "".join(character() for _ in range(rng.randrange(12)))


def binary(value):
    if isinstance(value, float):
        return b"d" + struct.pack("<d", value)
    if isinstance(value, int):
        return b"q" + struct.pack("<q", value)
    data = value.encode()
    return b"s" + struct.pack("<I", len(data)) + data


def exchange(text):
    data = text.encode()
    echo.stdin.write(struct.pack("<q", len(data)) + data)
    echo.stdin.flush()
    answer = []
    for _ in range(2):
        (length,) = struct.unpack("<q", echo.stdout.read(8))
        answer.append(echo.stdout.read(length))
    return answer


done = wrong = 0
while done < count:
    values = [rng.choice((double, integer, string))() for _ in range(1000)]
    style = rng.choice(({}, {"ensure_ascii": False}, {"indent": 1}, {"separators": (",", ":")}))
    text, seen = exchange(json.dumps(values, **style))
    truth = b"".join(map(binary, values))
    if seen != truth or b"".join(map(binary, json.loads(text))) != truth:
        wrong += 1
        sides = zip(values, json.loads(text))
        first = next(((a, b) for a, b in sides if binary(a) != binary(b)), "as qhub decoded it")
        print("FAILED seed", seed, "batch", done // 1000, repr(first))
        break
    done += len(values)
echo.stdin.close()
wrong += echo.wait() != 0
print(f"random values against Python's json: {done} each way, {wrong} failed")
sys.exit(wrong != 0)
