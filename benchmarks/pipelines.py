"""Does the input pipeline keep up? Examples a second of CPU time of each pipeline, and of its model's training step.

Pipelines read what a run reads: JPEG files of `hymenoptera` decoded, resized to 128 px and augmented by the standard
recipe; reviews of `amazon_text`, whose words are looked up inside the model; the rows of `heart_disease`, encoded
inside the model; WAV files of `fsdd` decoded, resampled to 16 kHz and masked by SpecAugment, whose spectrograms are
made inside the model. The model trains whole, on batches that are in memory already. Both are counted in CPU time of
the process, all cores together, since the machine is not always quiet; "share" is the part of a training example's
CPU time that goes into its pipeline. A share of more than half makes the pipeline the slower part once the model has
a device of its own.
"""

import itertools
import tempfile
import time
from pathlib import Path

import keras
import numpy as np
from amazon_text import load as load_reviews
from common import Results, arguments
from heart_disease import CATEGORIES, HOSPITALS, NUMBERS
from heart_disease import load as load_hospitals
from table_transfer import table_of, together

import tf_transfer as tft

BATCH, SECONDS, MOST = 32, 8.0, 640


def image_stream(folder, workplace):
    stored = np.load(Path(folder) / "hymenoptera" / "hymenoptera_160px.npz")
    for i, (start, end) in enumerate(itertools.pairwise(stored["offsets"])):
        place = workplace / "images" / str(stored["label"][i])
        place.mkdir(parents=True, exist_ok=True)
        (place / f"{i}.jpg").write_bytes(stored["jpeg"][start:end].tobytes())
    images = tft.data.ImageFolder(workplace / "images", (128, 128))
    builder = tft.ImageClassifier(
        num_classes=2,
        backbone="mobilenet_v2",
        weights=None,
        input_shape=(128, 128, 3),
        backbone_options={"alpha": 0.35},
        trainable=True,
        batch_norm="trainable",
        seed=0,
    )
    return builder, images


def text_stream(folder, workplace):
    texts, labels = (part[::10] for part in load_reviews(folder, "books"))
    builder = tft.TextClassifier(num_classes=2, backbone="transformer", trainable=True, seed=0)
    return builder.adapt(texts, verbose=0), (texts, labels)


def table_stream(folder, workplace):
    hospitals = load_hospitals(folder)
    table = together(*(table_of(hospitals[name][0]) for name in HOSPITALS))
    y = np.concatenate([hospitals[name][1] for name in HOSPITALS])
    kinds = {**dict.fromkeys(NUMBERS, "number"), **dict.fromkeys(CATEGORIES, "category")}
    builder = tft.TabularClassifier(columns=kinds, num_classes=2, seed=0).adapt(table, y)
    return builder, (builder.inputs(table), y)


def audio_stream(folder, workplace):
    from scipy.io import wavfile

    stored = np.load(Path(folder) / "fsdd" / "fsdd.npz")
    chosen = np.random.default_rng(0).permutation(len(stored["label"]))[:MOST]
    for i in chosen:
        place = workplace / "audio" / str(stored["label"][i])
        place.mkdir(parents=True, exist_ok=True)
        start, end = stored["offsets"][i : i + 2]
        wavfile.write(place / f"{i}.wav", int(stored["rate"]), stored["wave"][start:end])
    return tft.AudioClassifier(num_classes=10, seed=0), tft.data.AudioFolder(workplace / "audio")


KINDS = {"images": image_stream, "texts": text_stream, "tables": table_stream, "audio": audio_stream}


def cpu_seconds(batches):
    """Returns CPU seconds an example of going through batches for a while, the first ones left out."""
    batches = iter(batches)
    for _ in range(4):
        next(batches)
    start, begin, count = time.process_time(), time.perf_counter(), 0
    while time.perf_counter() - begin < SECONDS:
        count += len(next(batches)[1])
    return (time.process_time() - start) / count


def measure(kind, folder):
    with tempfile.TemporaryDirectory() as workplace:
        builder, data = KINDS[kind](folder, Path(workplace))
        missing = builder.takes_missing
        stream = tft.data.as_dataset(data, batch_size=BATCH, shuffle=True, seed=0, missing=missing)
        pipeline = cpu_seconds(builder.augment(stream).repeat())
        model = builder.build()
        kept = [batch for batch in builder.augment(stream).take(8) if len(batch[1]) == BATCH]
        training = cpu_seconds(trained(model, kept))
    return {
        "pipeline_per_second": round(1 / pipeline, 1),
        "training_per_second": round(1 / training, 1),
        "share": round(pipeline / (pipeline + training), 4),
        "parameters": model.count_params(),
    }


def trained(model, batches):
    for x, y in itertools.cycle(batches):
        model.train_on_batch(x, y)
        yield x, y


def main():
    given = arguments(__doc__)
    results = Results("pipelines", given.anew)
    for kind in KINDS:
        results.run({"input": kind}, lambda: measure(kind, given.data))  # noqa: B023
        keras.backend.clear_session()


if __name__ == "__main__":
    main()
