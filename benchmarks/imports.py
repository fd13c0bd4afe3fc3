"""What `import tf_transfer` costs over `import keras`: fresh processes by turns, the quickest of each counts."""

import subprocess
import sys

from common import Results

REPEATS = 7
TIMED = "import time; start = time.perf_counter(); import {module}; print(time.perf_counter() - start)"


def seconds(module):
    run = subprocess.run(
        [sys.executable, "-c", TIMED.format(module=module)], capture_output=True, text=True, check=True
    )
    return float(run.stdout)


def measure():
    times = [(seconds("keras"), seconds("tf_transfer")) for _ in range(REPEATS)]
    keras, tf_transfer = (min(column) for column in zip(*times, strict=True))
    return {"keras": round(keras, 3), "tf_transfer": round(tf_transfer, 3), "over_keras": round(tf_transfer - keras, 3)}


if __name__ == "__main__":
    Results("imports", anew="--anew" in sys.argv).run({"repeats": REPEATS}, measure)
