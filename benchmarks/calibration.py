"""Whether classifiers are right as often as they say, before and after temperature scaling.

    python benchmarks/calibration.py --data FOLDER

A model is trained on one part, its temperature is found on a second, and both models are measured on a third, which
chose nothing. `hymenoptera`: 195 images train, 48 calibrate, its 153 are the test. `flowers128`: 20 a class train, 10 a
class calibrate, 950 others are the test. `sst2`: 6920 sentences train, 872 calibrate, 1821 are the test.
`heart_disease`: the 920 rows of four hospitals together, half of each class train, a quarter calibrate, a quarter are
the test. Images are classified by MobileNet 0.5 at 96 px, pretrained: its head alone for 30 epochs ("head"), and then
everything for 12 at a tenth of the rate ("fine-tuned"); sentences by a convolutional network from scratch, 6 epochs;
rows by a network of one layer, 100 epochs. All keep their last weights: nothing stops a training when the model
becomes too sure. The error has 15 bins. "by chance" is what exactly calibrated scores would show on the same test.
"""

import tempfile

import numpy as np
from common import Results, arguments
from heart_disease import load
from table_transfer import rows_of, table_of
from text_transfer import sst2
from transferability import encoder, examples

import tf_transfer as tft

ENCODER = "MobileNet 0.5"
RATES = {"learning_rate": 3e-3, "fine_tuning_rate": 3e-4, "unfreeze": True, "validation_split": 0.0}
TEXT = {"dim": 64, "num_blocks": 2, "sequence_length": 48, "max_words": 8000}
SETS = {
    "hymenoptera": ("head", "fine-tuned"),
    "flowers128": ("head", "fine-tuned"),
    "sst2": ("from scratch",),
    "heart_disease": ("from scratch",),
}


def parts(dataset, data, seed):
    """Returns (x, y) to train on, to calibrate on, and of the test."""
    if dataset == "sst2":
        return [sst2(data, part) for part in ("train", "dev", "test")]
    if dataset == "heart_disease":
        x, y = (np.concatenate(each) for each in zip(*load(data).values()))
        train, others = tft.data.hold_out((np.arange(len(y)), y), 0.5, seed)
        others = tft.data.hold_out(others, 0.5, seed)
        return [(rows_of(table_of(x), rows), labels) for rows, labels in (train, *others)]
    train, test = examples(dataset, data, seed)
    if dataset == "hymenoptera":
        return [*tft.data.hold_out(train, 0.2, seed), test]
    rng = np.random.default_rng(100 + seed)
    held_out = np.concatenate([rng.permutation(np.flatnonzero(test[1] == kind))[:10] for kind in range(5)])
    rest = np.setdiff1d(np.arange(len(test[1])), held_out)
    return [train, *((test[0][rows], test[1][rows]) for rows in (held_out, rest))]


def trained(dataset, way, train, data, seed):
    """Returns a classifier, and what turns the inputs of the other parts into its own."""
    num_classes = int(train[1].max()) + 1
    if dataset == "sst2":
        builder = tft.TextClassifier(num_classes=num_classes, backbone="cnn", backbone_options=TEXT, seed=seed)
        model = builder.adapt(train[0], verbose=0).build()
        model.fit(tft.data.as_dataset(train, batch_size=64, shuffle=True, seed=seed), epochs=6, verbose=0)
        return model, lambda x: x
    if dataset == "heart_disease":
        columns = list(train[0])
        builder = tft.TabularClassifier(num_classes=num_classes, columns=columns, hidden_units=[64], seed=seed)
        builder = builder.adapt(train[0])
        model = builder.build()
        batches = tft.data.as_dataset(
            (builder.inputs(train[0]), train[1]), batch_size=32, shuffle=True, seed=seed, missing=True
        )
        model.fit(batches, epochs=100, verbose=0)
        return model, builder.inputs
    model = tft.ImageClassifier(
        num_classes=num_classes, backbone=encoder(ENCODER, data, seed), augmentation=None, dropout=0.0, seed=seed
    ).build()
    epochs = 12 if way == "fine-tuned" else 0
    with tempfile.TemporaryDirectory() as folder:
        tft.fine_tune(
            model, train, freeze_epochs=30, epochs=epochs, features_cache=folder, seed=seed, verbose=0, **RATES
        )
    return model, lambda x: x


def measure(dataset, way, data, seed):
    train, held_out, test = parts(dataset, data, seed)
    model, inputs = trained(dataset, way, train, data, seed)
    held_out, test = ((inputs(x), y) for x, y in (held_out, test))
    found = tft.analysis.calibrate(model, held_out)
    before, after = (tft.analysis.evaluate_classifier(each, test) for each in (model, found.model))
    assert np.array_equal(before.predictions, after.predictions)
    errors = [tft.analysis.Reliability(each) for each in (before, after)]
    return {
        "num_train": len(train[1]),
        "num_held_out": len(held_out[1]),
        "num_test": len(test[1]),
        "temperature": round(found.temperature, 4),
        "accuracy": round(before.accuracy, 4),
        "error_before": round(errors[0].expected_calibration_error, 4),
        "error_after": round(errors[1].expected_calibration_error, 4),
        "error_by_chance": round(errors[1].error_by_chance(), 4),
        "log_loss_before": round(before.log_loss, 4),
        "log_loss_after": round(after.log_loss, 4),
    }


def main():
    given = arguments(__doc__)
    results = Results("calibration", given.anew)
    for seed in given.seeds:
        for dataset, ways in SETS.items():
            for way in ways:
                key = {"set": dataset, "way": way, "seed": seed}
                results.run(key, lambda key=key: measure(key["set"], key["way"], given.data, key["seed"]))


if __name__ == "__main__":
    main()
