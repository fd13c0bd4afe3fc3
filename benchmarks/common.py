"""What benchmark scripts share: real data by folder, results as JSON lines, runs that resume."""

import argparse
import fcntl
import itertools
import json
import os
import platform
import subprocess
import tempfile
import time
from importlib import metadata
from pathlib import Path

import numpy as np

RESULTS = Path(__file__).parent / "results"
_PACKAGES = ("tensorflow", "keras", "numpy", "tf-transfer")


def arguments(description, *, needs_data=True, **defaults):
    """Returns the parsed command line of a benchmark script: the data folder, seeds, and whether to start anew."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--data", default=os.environ.get("TF_TRANSFER_DATA"), help="folder of the real data sets")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--anew", action="store_true", help="measure again what is stored already")
    for name, value in defaults.items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=type(value), default=value)
    parsed = parser.parse_args()
    if needs_data and parsed.data is None:
        parser.error("say --data FOLDER or set TF_TRANSFER_DATA")
    return parsed


def setting():
    """Returns what a figure depends on besides the code: versions and machine."""
    versions = {name: metadata.version(name) for name in _PACKAGES}
    return {"versions": versions, "python": platform.python_version(), "cores": len(os.sched_getaffinity(0))}


class Results:
    """A file of JSON lines, one a run; a run that is there is not measured again.

    Args:
        name: String, the file's name without its ending.
        anew: Boolean, whether to measure again what is there.
    """

    def __init__(self, name, anew=False):
        self.path = RESULTS / f"{name}.jsonl"
        self._anew = anew

    def rows(self):
        if not self.path.exists():
            return []
        return [json.loads(line) for line in self.path.read_text(encoding="utf-8").splitlines()]

    def run(self, key, measure):
        """Returns the stored row of `key`, or measures it, `measure() -> dict`, and stores it."""
        known = [row for row in self.rows() if all(row.get(name) == value for name, value in key.items())]
        if known and not self._anew:
            print(f"stored    {key}")
            return known[-1]
        start = time.perf_counter()
        figures = measure()
        seconds = round(time.perf_counter() - start, 2)
        row = {**key, **figures, "seconds": seconds, "when": time.strftime("%Y-%m-%d"), **setting()}
        self._store(key, row)
        print(f"measured  {key} {figures} in {seconds} s", flush=True)
        return row

    def _store(self, key, row):
        self.path.parent.mkdir(exist_ok=True)
        # Two runs of one script, for different methods, may write at the same time.
        with open(self.path.with_suffix(".lock"), "w", encoding="utf-8") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            kept = [line for line in self.rows() if not all(line.get(name) == value for name, value in key.items())]
            draft = self.path.with_suffix(".tmp")
            draft.write_text("".join(json.dumps(line) + "\n" for line in [*kept, row]), encoding="utf-8")
            draft.replace(self.path)


def run_elsewhere(python, script, options, arrays):
    """Runs a script of this folder on a job in another environment; returns what it printed behind RESULT.

    Args:
        python: String, an interpreter of that environment.
        script: String, the script's name; it gets the path of a `.npz` file with the arrays and `options` as JSON.
        options: Dict of plain data.
        arrays: Dict of arrays.
    """
    with tempfile.TemporaryDirectory() as folder:
        job = Path(folder) / "job.npz"
        np.savez(job, **arrays, options=json.dumps(options))
        path = Path(__file__).parent / script
        done = subprocess.run([python, path, job], capture_output=True, text=True, check=False)
    lines = [line for line in done.stdout.splitlines() if line.startswith("RESULT ")]
    if not lines:
        raise RuntimeError(f"{script} failed: {done.stderr[-2000:]}")
    return json.loads(lines[-1].removeprefix("RESULT "))


def images(folder, name, size):
    """Returns float32 images of one size in 0..255, integer labels, and the split (None when there is none)."""
    import tensorflow as tf

    from tf_transfer.data import decode_image

    files = {
        "hymenoptera": "hymenoptera_160px.npz",
        "flowers128": "flowers_128px.npz",
        "imagenet_sample": "imagenet_sample_128px.npz",
    }
    with np.load(Path(folder) / name / files[name]) as file:
        # Read once: the file's own items are unpacked anew each time that they are asked for.
        stored = dict(file)
    edges = stored["offsets"]
    jpegs = [stored["jpeg"][start:end].tobytes() for start, end in itertools.pairwise(edges)]
    decoded = tf.data.Dataset.from_tensor_slices(jpegs).map(
        lambda jpeg: decode_image(jpeg, (size, size)), num_parallel_calls=tf.data.AUTOTUNE
    )
    x = np.stack(list(decoded.as_numpy_iterator()))
    return x, stored["label"].astype("int64"), stored.get("domain")
