"""Trainings that are the same with one device and with several, run by scripts of the tests and compared there.

Called as `training_runs.py KIND NAME,NAME,... FOLDER`: trains under the strategy KIND and stores what came out.
"""

import faulthandler
import json
import os
import sys
from pathlib import Path

if sys.argv[1] == "mirrored":
    import tensorflow as tf

    devices = [tf.config.LogicalDeviceConfiguration()] * 2
    tf.config.set_logical_device_configuration(tf.config.list_physical_devices("CPU")[0], devices)

import tf_transfer as tft

STRATEGY = tft.distribution.strategy(sys.argv[1], timeout=500)

import keras  # noqa: E402

if "TB" in os.environ:
    keras.config.disable_traceback_filtering()
import numpy as np  # noqa: E402
import tensorflow as tf  # noqa: E402

RNG = np.random.default_rng(0)
IMAGES, LABELS = RNG.uniform(0, 255, (22, 8, 8, 3)).astype("float32"), np.arange(22) % 3
OTHERS = RNG.uniform(0, 255, (24, 8, 8, 3)).astype("float32")


def backbone(normalized=False):
    image = keras.Input((8, 8, 3), name="image")
    x = keras.layers.Rescaling(1 / 255)(image)
    x = keras.layers.Conv2D(4, 3, activation="relu", kernel_initializer=keras.initializers.GlorotUniform(1))(x)
    x = keras.layers.BatchNormalization(momentum=0.8)(x) if normalized else x
    x = keras.layers.Conv2D(4, 3, activation="relu", kernel_initializer=keras.initializers.GlorotUniform(2))(x)
    return keras.Model(image, keras.layers.GlobalAveragePooling2D()(x), name="backbone")


def classifier(**fields):
    fields = {"trainable": True, "batch_norm": "trainable", "dropout": 0.0, "l2": 0.01, "learning_rate": 0.01, **fields}
    builder = tft.ImageClassifier(num_classes=3, backbone=backbone(fields.pop("normalized", False)), augmentation=None,
                                  seed=0, **fields)  # fmt: skip
    model = builder.build()
    # The head starts at zero, where the backbone would have no gradient in the first step.
    model.get_layer("logits").kernel.assign(np.linspace(-1, 1, 12).reshape(4, 3))
    return model


def builder_model():
    model = classifier()
    history = model.fit(IMAGES, LABELS, batch_size=8, epochs=2, shuffle=False, verbose=0, class_weight={0: 2.0, 2: 0.5},
                        validation_data=(IMAGES[:13], LABELS[:13])).history  # fmt: skip
    return model, history


def adapters():
    model = classifier(trainable=tft.BottleneckAdapters(units=2, seed=0), batch_norm="frozen")
    return model, model.fit(IMAGES[:16], LABELS[:16], batch_size=8, epochs=2, shuffle=False, verbose=0).history


def normalized():
    model = classifier(normalized=True)
    return model, model.fit(IMAGES[:16], LABELS[:16], batch_size=8, epochs=2, shuffle=False, verbose=0).history


def leftover():
    """The last batch of an epoch has one example, fewer than there are replicas."""
    model = classifier()
    history = model.fit(IMAGES[:17], LABELS[:17], batch_size=8, epochs=2, shuffle=False, verbose=0).history
    return model, {"loss": history["loss"]} if sys.argv[1] == "one_device" else {}


def streams():
    model = classifier()
    stream = (
        tf.data.Dataset.from_tensor_slices((IMAGES, LABELS))
        .shuffle(22, seed=3, reshuffle_each_iteration=False)
        .batch(6)
    )
    steps = tf.data.Dataset.from_tensor_slices((IMAGES, LABELS)).repeat().batch(5)
    first = model.fit(stream.take(2), epochs=1, verbose=0, validation_data=stream).history
    return model, {
        **first,
        **{f"more_{k}": v for k, v in model.fit(steps, epochs=2, steps_per_epoch=3, verbose=0).history.items()},
    }


def dann():
    encoder, head = (
        backbone(),
        keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, "softmax", kernel_initializer="ones")]),
    )
    head.layers[0].kernel.assign(np.linspace(-1, 1, 12).reshape(4, 3))
    model = tft.DANN(encoder, head, adaptation_weight=tft.schedules.dann(), seed=0)
    model.compile(keras.optimizers.SGD(0.1, momentum=0.9), "sparse_categorical_crossentropy", metrics=["accuracy"])
    pairs = tft.data.pair_domains((IMAGES, LABELS), OTHERS, batch_size=8, shuffle=False)
    return model, model.fit(pairs, epochs=3, verbose=0, validation_data=(IMAGES, LABELS)).history


def distiller():
    teacher = classifier()
    teacher.get_layer("logits").kernel.assign(np.linspace(2, -2, 12).reshape(4, 3))
    student = classifier()
    model = tft.Distiller(student, teacher, losses=[tft.losses.KnowledgeDistillation(temperature=4.0)], weight=0.7)
    model.compile(keras.optimizers.SGD(0.1, momentum=0.9), "sparse_categorical_crossentropy", metrics=["accuracy"])
    history = model.fit(IMAGES, LABELS, batch_size=8, epochs=2, shuffle=False, verbose=0).history
    return model, history


def fine_tune(folder):
    model = classifier(trainable=False)
    # One batch an epoch: what is kept of the features is shuffled, otherwise here than there.
    stream = tf.data.Dataset.from_tensor_slices((IMAGES[:16], LABELS[:16])).batch(16)
    history = tft.fine_tune(
        model, stream, (IMAGES, LABELS), freeze_epochs=2, epochs=2, unfreeze=True, fine_tuning_rate=3e-3, seed=0,
        features_cache=folder / f"features_{sys.argv[1]}_{worker()}", verbose=0,
    )  # fmt: skip
    return model, history.history


def many_tasks():
    trunk = tft.builders.ImageBuilder(backbone=backbone(), trainable=True, dropout=0.0, l2=0.01, augmentation=None,
                                      learning_rate=0.01, seed=0)  # fmt: skip
    tasks = {"kind": tft.ClassificationTask(num_classes=3), "size": tft.RegressionTask(target_std=2.0, weight=0.5)}
    model = tft.MultiTask(trunk=trunk, tasks=tasks).build()
    for name in ("kind_logits", "size_standardized"):
        kernel = model.get_layer(name).kernel
        kernel.assign(np.linspace(-1, 1, int(np.prod(kernel.shape))).reshape(kernel.shape))
    # Some labels are missing, and not as many on each device.
    labels = {
        "kind": np.where(np.arange(22) % 4 == 0, -1, LABELS),
        "size": np.where(np.arange(22) < 6, np.nan, np.arange(22) / 4.0)[:, None].astype("float32"),
    }
    history = model.fit(IMAGES[:16], {name: each[:16] for name, each in labels.items()}, batch_size=8, epochs=2,
                        shuffle=False, verbose=0).history  # fmt: skip
    return model, history, labels


def contrastive():
    inputs = {"image": IMAGES, "other": IMAGES[..., ::-1] + 5.0}
    model = tft.ContrastiveModel({name: backbone() for name in inputs})
    model.compile(keras.optimizers.SGD(0.1))
    pairs = {name: each[:16] for name, each in inputs.items()}
    return model, model.fit(pairs, batch_size=8, epochs=2, shuffle=False, verbose=0).history, None


def worker():
    return json.loads(os.environ.get("TF_CONFIG", '{"task": {"index": 0}}'))["task"]["index"]


RUNS = {
    "builder_model": lambda folder: builder_model(),
    "adapters": lambda folder: adapters(),
    "normalized": lambda folder: normalized(),
    "leftover": lambda folder: leftover(),
    "streams": lambda folder: streams(),
    "dann": lambda folder: dann(),
    "distiller": lambda folder: distiller(),
    "fine_tune": fine_tune,
    "many_tasks": lambda folder: many_tasks(),
    "contrastive": lambda folder: contrastive(),
}


def run(kind, name, folder):
    with STRATEGY.scope():
        model, history, *labels = RUNS[name](folder)
    # Of 13 in batches of 4 one example is left for the last, which Keras alone does not share among two devices.
    count = int(os.environ.get("NUM_EVALUATED", 13))
    x, y = IMAGES[:count], LABELS[:count]
    if name == "many_tasks":
        y = {task: each[:count] for task, each in labels[0].items()}
    elif name == "contrastive":
        # What is compared in a batch depends on its size, which is whole here.
        x, y = {"image": IMAGES[:12], "other": IMAGES[:12, ..., ::-1]}, None
    scores = model.evaluate(x, y, batch_size=4, return_dict=True, verbose=0)
    if name == "many_tasks":
        # Keras takes the mean of an output's losses over batches of any size: of 4, or here of parts of them.
        scores = {key: value for key, value in scores.items() if key not in ("kind_loss", "size_loss")}
    predictions = model.predict(x, batch_size=4, verbose=0)
    if isinstance(predictions, dict):
        predictions = np.concatenate([predictions[name] for name in sorted(predictions)], axis=-1)
    weights = {f"{number:03}": np.asarray(each) for number, each in enumerate(model.get_weights())}
    place = folder / f"{kind}_{name}_{worker()}"
    np.savez(f"{place}.npz", predictions=predictions, **weights)
    Path(f"{place}.json").write_text(json.dumps({"history": history, "scores": scores}, default=float))
    model.save(folder / f"{kind}_{name}.keras")


if __name__ == "__main__":
    # A worker that waits for ever says where.
    faulthandler.dump_traceback_later(float(os.environ.get("HANG", 800)), exit=True)
    for each in sys.argv[2].split(","):
        run(sys.argv[1], each, Path(sys.argv[3]))
