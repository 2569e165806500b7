"""A service for qhub-serve: its parameters steer what a client meets.

The emulation passes every member of the body as JSON text, converted to the annotated type. A str
keeps the quotes of its text.
"""

import os
import time


def run(values: list[int] = [], mode: str = "", seconds: float = 0.0, shots: int = 1):
    time.sleep(seconds)
    mode = mode.strip('"')
    if mode == "fail":
        raise ValueError("no such basis")
    if mode == "nan":
        return {"energy": float("nan"), "bounds": [float("-inf"), float("inf")]}
    if mode == "list":  # a list as the whole output: asking for that result is answered with 500
        return [1, 2, 3]
    if mode == "text":
        return "a plain value"
    if mode == "nothing":
        return None
    if mode == "file":  # not for runs at the same time: they share this variable
        with open(os.path.join(os.environ["OUTPUT_DIRECTORY"], "bytes.bin"), "wb") as out:
            out.write(bytes(range(256)) * 4096)
    return {"sum": sum(values), "shots": shots}
