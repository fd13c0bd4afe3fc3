"""Tasks a second of MAML, beside `learn2learn` on the same network and the same tasks.

    python benchmarks/few_shot_speed.py --learn2learn-python PATH

Images of 28 x 28 pixels, four convolutions with 64 filters, stride 2 and batch normalization, Adam; batches of 16
tasks of five ways with five queries a class, one inner step. Seconds are CPU seconds of one thread, so that a busy
machine slows both alike; rounds take turns, and the median counts. PATH is an interpreter that has `learn2learn`.
"""

import statistics
import time

import keras
import numpy as np
import tensorflow as tf
from common import Results, arguments, run_elsewhere

import tf_transfer as tft

ROUNDS, BATCHES, TASKS, WAYS, QUERIES = 3, 4, 16, 5, 5
CASES = (
    {"method": "MAML", "shots": 1},
    {"method": "MAML", "shots": 5},
    {"method": "MAML, first order", "shots": 1},
)


def tasks(shots):
    """Returns arrays with leading axes (batches, tasks)."""
    rng = np.random.default_rng(0)
    pixels = rng.uniform(size=(WAYS * 40, 28, 28, 1)).astype("float32")
    stream = tft.data.episodes(pixels, np.arange(WAYS * 40) // 20, WAYS, shots, QUERIES, batch_size=TASKS, seed=0)
    batches = [({**x, "query_labels": y}) for x, y in stream.take(BATCHES)]
    return {name: np.stack([np.asarray(batch[name]) for batch in batches]) for name in batches[0]}


def network():
    layers = [keras.Input((28, 28, 1))]
    for _ in range(4):
        layers += [keras.layers.Conv2D(64, 3, 2, padding="same"), keras.layers.BatchNormalization()]
        layers += [keras.layers.ReLU()]
    return keras.Sequential([*layers, keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(WAYS)])


def own(options, arrays):
    """Returns a function that trains on all batches and returns tasks a second of CPU, and the number of parameters."""
    model = tft.few_shot.MAML(network(), options["inner_learning_rate"], first_order=options["first_order"])
    model.compile(keras.optimizers.Adam(1e-3), steps_per_execution=BATCHES)
    labels = arrays["query_labels"]
    inputs = {name: part for name, part in arrays.items() if name != "query_labels"}
    stream = tf.data.Dataset.from_tensor_slices((inputs, labels)).cache()

    def train():
        start = time.process_time()
        model.fit(stream, verbose=0)
        return BATCHES * TASKS / (time.process_time() - start)

    train()
    return train, sum(int(np.prod(each.shape)) for each in model.trainable_variables)


def measure(case, python):
    options = {"ways": WAYS, "inner_learning_rate": 0.4, "inner_steps": 1, "rounds": 1}
    options["first_order"] = case["method"].endswith("first order")
    arrays = tasks(case["shots"])
    train, number = own(options, arrays)
    rates = {"tf_transfer": [], **({"learn2learn": []} if python else {})}
    for _ in range(ROUNDS):
        rates["tf_transfer"].append(train())
        if python:
            theirs = run_elsewhere(python, "with_learn2learn.py", options, arrays)
            rates["learn2learn"] += theirs["rates"]
            if theirs["parameters"] != number:
                raise SystemExit(f"The networks differ: {number} parameters here, {theirs['parameters']} there.")
    medians = {name: statistics.median(values) for name, values in rates.items()}
    return {
        "rates": {name: [round(value, 1) for value in values] for name, values in rates.items()},
        "tasks_a_second": {name: round(value, 1) for name, value in medians.items()},
        "times_as_fast": round(medians["tf_transfer"] / medians["learn2learn"], 2) if python else None,
    }


def main():
    options = arguments(__doc__, learn2learn_python="", needs_data=False)
    results = Results("few_shot_speed", options.anew)
    for case in CASES:
        results.run(case, lambda case=case: measure(case, options.learn2learn_python))


if __name__ == "__main__":
    main()
