"""What LEEP and NCE, which look at a source classifier's answers, foretell of the encoders of `transferability.py`.

    python benchmarks/source_heads.py --data FOLDER

The accuracies after fine-tuning are those that `transferability.py` stored. Only two of the given weights came with the
head of their source, so each encoder gets one that is made in the same way from what the encoder learned from: logistic
regression on its frozen features, standardized, with the penalty that cross-validation chooses. For all that saw
ImageNet, and for the two with random weights, the source is `imagenet_sample`, one image of each of the 1000 classes,
and its labels are 20 or 100 groups of these classes: Ward's clustering of the class vectors in the head of MobileNetV2,
the only thing here that knows which classes are alike. For the encoder of digits it is 5000 images of MNIST and their
ten classes. Where the head of the source exists (MobileNet 0.25, at both sizes, and MobileNetV2), its thousand classes
are asked as well. LEEP and NCE then see the images of the target that `transferability.py` trains on, and their labels.
"""

from functools import cache
from pathlib import Path

import keras
import numpy as np
from common import Results, arguments, images
from transferability import ENCODERS, SETS, encoder, examples

import tf_transfer as tft
from tf_transfer.analysis.linear_probe import features_and_labels

GROUPS = (20, 100)
_STRENGTHS = (1e-4, 1e-3, 1e-2, 1e-1)
_NUM_DIGITS = 5000


@cache
def top(network, data):
    """Returns the kernel `(dim, 1000)` and bias of a network's own head, or None where there is no file of it."""
    folder = Path(data) / "weights"
    if network == "mobilenet_v2":
        with np.load(folder / "mobilenet_v2_1.0_224_imagenet_dequant_top.npz") as file:
            return file["kernel"].astype("float64"), file["bias"].astype("float64")
    if network != "mobilenet 0.25":
        return None
    weights = str(folder / "mobilenet_v1_0.25_224_imagenet.weights.h5")
    kernel, bias = keras.applications.MobileNet(alpha=0.25, weights=weights).get_layer("conv_preds").get_weights()
    return kernel.reshape(-1, 1000).astype("float64"), bias.astype("float64")


@cache
def groups_of_classes(num, data):
    """Returns the group of each of the 1000 classes."""
    from sklearn.cluster import AgglomerativeClustering

    vectors = top("mobilenet_v2", data)[0].T
    return AgglomerativeClustering(num).fit_predict(vectors / np.linalg.norm(vectors, axis=1, keepdims=True))


@cache
def source_features(name, data, seed):
    """Returns features of what an encoder learned from, and the classes of that source, for the pretrained once."""
    if ENCODERS[name][0] is None:
        with np.load(Path(data) / "mnist" / "mnist.npz") as file:
            x, y = file["x_train"][:_NUM_DIGITS, ..., None].astype("float32"), file["y_train"][:_NUM_DIGITS]
        return features_and_labels(tft.load_backbone("mnist_encoder"), (x, y), 64, None)
    x, y, _ = images(data, "imagenet_sample", 96)
    return features_and_labels(encoder(name, data, seed), (x, y), 64, None)


@cache
def head(name, num_groups, data, seed):
    """Returns a fitted classifier of the source, and its cross-validated accuracy there."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import KFold, cross_val_predict
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    x, y = source_features(name, data, seed)
    if num_groups is not None:
        y = groups_of_classes(num_groups, data)[y]
    parts, found = KFold(3, shuffle=True, random_state=0), {}
    for strength in _STRENGTHS:
        made = make_pipeline(StandardScaler(), LogisticRegression(C=strength, max_iter=300))
        given = cross_val_predict(made, x, y, cv=parts, method="predict_proba")
        likelihood = np.log(np.maximum(given[np.arange(len(y)), y], 1e-6)).mean()
        found[likelihood] = made, float((given.argmax(axis=1) == y).mean())
    best, accuracy = found[max(found)]
    return best.fit(x, y), accuracy


@cache
def measure(name, dataset, data, seed, drawn):
    """Returns the scores by an encoder's source; `seed` draws the examples of a set, `drawn` random weights."""
    from scipy.special import softmax

    network, _, end, pretrained = ENCODERS[name]
    train, _ = examples(dataset, data, seed)
    features, labels = features_and_labels(encoder(name, data, drawn), train, 64, None)
    figures = {}
    for num in GROUPS:
        made, accuracy = head(name, num if network is not None else None, data, drawn)
        given = made.predict_proba(features)
        figures |= {f"leep_{num}": tft.analysis.leep(given, labels), f"source_accuracy_{num}": accuracy}
        figures[f"nce_{num}"] = tft.analysis.nce(given.argmax(axis=1), labels)
    if pretrained and end is None and (own := top(network, data)) is not None:
        given = softmax(features @ own[0] + own[1], axis=1)
        figures["leep_own"] = tft.analysis.leep(given, labels)
        figures["nce_own"] = tft.analysis.nce(given.argmax(axis=1), labels)
    return {score: round(float(value), 5) for score, value in figures.items()}


def main():
    given = arguments(__doc__)
    results = Results("source_heads", given.anew)
    for seed in given.seeds:
        for dataset in SETS:
            for name in ENCODERS:
                key = {"set": dataset, "encoder": name, "seed": seed}
                # Of hymenoptera the files say which images train, and only random weights depend on the seed.
                what = name, dataset, given.data, 0 if dataset == "hymenoptera" else seed
                drawn = 0 if ENCODERS[name][3] else seed
                results.run(key, lambda what=what, drawn=drawn: measure(*what, drawn))


if __name__ == "__main__":
    main()
