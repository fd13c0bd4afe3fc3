"""Regression of sinusoids from K=10 points, as in Finn et al. 2017: MSE after 0, 1 and 10 steps of adaptation.

    python benchmarks/sinusoid.py

A task is amplitude * sin(x - phase), amplitude from 0.1 to 5, phase from 0 to pi, x from -5 to 5. The network has two
hidden layers of 40; 15,000 iterations of 25 tasks, Adam at 1e-3, one inner step of 0.01. The score is the mean squared
error at 100 further points of 600 tasks. "pretrained" is the same network trained on the same points of all tasks
without any adaptation, and then adapted alike; the "oracle" is told amplitude and phase. No file of data is needed.
"""

import keras
import numpy as np
import tensorflow as tf
from common import Results, arguments

import tf_transfer as tft

ITERATIONS, TASKS, POINTS, ASKED, TESTS = 15_000, 25, 10, 100, 600
STEPS = (0, 1, 10)
RATE = 0.01
METHODS = ("MAML", "MAML, first order", "Meta-SGD", "pretrained", "oracle")


def draw(rng, tasks, asked):
    """Returns points to learn from, points to be asked about, and what a task is."""
    amplitude, phase = rng.uniform(0.1, 5, (tasks, 1, 1)), rng.uniform(0, np.pi, (tasks, 1, 1))
    x = rng.uniform(-5, 5, (tasks, POINTS + asked, 1))
    y = amplitude * np.sin(x - phase)
    parts = [part.astype("float32") for part in (x[:, :POINTS], y[:, :POINTS], x[:, POINTS:], y[:, POINTS:])]
    known = np.broadcast_to(np.concatenate([amplitude, phase], -1), (tasks, asked, 2)).astype("float32")
    return dict(zip(("support", "support_labels", "query"), parts[:3], strict=True)), parts[3], known


def stream(seed):
    spec = tf.TensorSpec((TASKS, POINTS, 1))
    signature = ({"support": spec, "support_labels": spec, "query": spec}, spec)

    def tasks():
        rng = np.random.default_rng(seed)
        while True:
            yield draw(rng, TASKS, POINTS)[:2]

    return tf.data.Dataset.from_generator(tasks, output_signature=signature).prefetch(tf.data.AUTOTUNE)


def network(seed, num_inputs=1):
    start = [
        keras.initializers.TruncatedNormal(stddev=size, seed=seed * 3 + at) for at, size in enumerate((1, 0.16, 0.16))
    ]
    layers = [keras.layers.Dense(40, activation="relu", kernel_initializer=each) for each in start[:2]]
    return keras.Sequential([keras.Input((num_inputs,)), *layers, keras.layers.Dense(1, kernel_initializer=start[2])])


def measure(method, seed, iterations):
    inputs, y, known = draw(np.random.default_rng(10_000 + seed), TESTS, ASKED)
    if method == "oracle":
        score = oracle(seed, iterations, np.concatenate([inputs["query"], known], -1), y)
        return {f"mse_{steps}": score for steps in STEPS}
    options = {"first_order": method.endswith("first order"), "learned_rates": method == "Meta-SGD"}
    model = tft.few_shot.MAML(network(seed), RATE, **options)
    model.compile(keras.optimizers.Adam(1e-3), "mse")
    if method == "pretrained":
        pretrain(model.model, seed, iterations)
    else:
        model.fit(stream(seed), steps_per_epoch=iterations // 10, epochs=10, verbose=2)
    figures = {}
    for steps in STEPS:
        model.evaluation_steps = steps
        figures[f"mse_{steps}"] = round(float(np.square(model(inputs).numpy() - y).mean()), 4)
    return figures


def pretrain(plain, seed, iterations):
    """Trains a network on the points of all tasks as if they were one."""
    plain.compile(keras.optimizers.Adam(1e-3), "mse")
    flat = stream(seed).map(lambda x, y: (
        tf.reshape(tf.concat([x["support"], x["query"]], 1), (-1, 1)),
        tf.reshape(tf.concat([x["support_labels"], y], 1), (-1, 1)),
    ))  # fmt: skip
    plain.fit(flat, steps_per_epoch=iterations, epochs=1, verbose=2, shuffle=False)


def oracle(seed, iterations, asked, y):
    plain = network(seed, 3)
    plain.compile(keras.optimizers.Adam(1e-3), "mse")
    rng = np.random.default_rng(seed)

    def batches():
        while True:
            x, labels, known = draw(rng, TASKS, POINTS)
            yield np.concatenate([x["query"], known], -1).reshape(-1, 3), labels.reshape(-1, 1)

    signature = (tf.TensorSpec((None, 3)), tf.TensorSpec((None, 1)))
    data = tf.data.Dataset.from_generator(batches, output_signature=signature).prefetch(tf.data.AUTOTUNE)
    plain.fit(data, steps_per_epoch=iterations, epochs=1, verbose=2, shuffle=False)
    return round(float(np.square(plain.predict(asked.reshape(-1, 3), verbose=0) - y.reshape(-1, 1)).mean()), 4)


def main():
    options = arguments(__doc__, needs_data=False, iterations=ITERATIONS)
    results = Results("sinusoid", options.anew)
    for seed in options.seeds:
        for method in METHODS:
            key = {"method": method, "seed": seed, "iterations": options.iterations}
            results.run(key, lambda method=method, seed=seed: measure(method, seed, options.iterations))


if __name__ == "__main__":
    main()
