"""What each public object of `tft.contrastive` holds beyond its docstring."""

import dataclasses
import functools

import keras
import numpy as np

import tf_transfer as tft

import contracts
from contract_parts import check_config, check_refuses, check_saves
from contract_registry import row
from contract_toys import backbone_file, images

PAIRS = {name: np.random.default_rng(1).normal(size=(8, size)).astype("float32") for name, size in (("a", 4), ("b", 3))}


def model(**options):
    sides = {name: keras.Sequential([keras.Input((len(x[0]),)), keras.layers.Dense(2)]) for name, x in PAIRS.items()}
    made = tft.ContrastiveModel(sides, **options)
    made.compile("adam")
    return made


@row("contrastive.ContrastiveModel")
def _(contrastive_model):
    loss = tft.losses.SigmoidContrastive(temperature=0.2, bias=-3.0)
    sides = {"one": model().first, "other": model().first}
    check_config(functools.partial(contrastive_model, sides, loss=loss))
    made = model(loss=loss)
    assert np.all(np.isfinite(made.fit(PAIRS, validation_data=(PAIRS,), verbose=0).history["val_loss"]))
    again = check_saves(made, PAIRS)
    assert again.contrastive_loss.bias == -3.0 and int(again.optimizer.iterations) == 1
    again.fit(PAIRS, verbose=0)
    plain = made.deployable()
    contracts.same(made.predict(PAIRS, verbose=0), plain.predict(PAIRS, verbose=0), 1e-5)
    check_refuses(lambda: contrastive_model(sides, loss="mse"), "`loss`", "InfoNCE")
    check_refuses(lambda: made.side("c"), "['a', 'b']")


@row("contrastive.DualEncoder")
def _(dual_encoder):
    trunk = tft.builders.ImageBuilder(
        backbone=backbone_file(), weights=None, augmentation=None, trainable=True, hidden_units=(3,), l2=1e-3
    )
    sides = {"front": trunk, "back": dataclasses.replace(trunk, seed=3)}
    builder = dual_encoder(sides=sides, embedding_dim=4, loss="sigmoid", temperature=0.3, seed=2, learning_rate=0.01)
    contracts.check_builder_fields(builder)
    made = builder.build()
    check_refuses(lambda: dual_encoder(sides={"front": trunk}), "`sides`", "two")
    check_refuses(lambda: dual_encoder(sides={**sides, "back": tft.ImageClassifier(num_classes=2)}), "ImageBuilder")
    check_refuses(lambda: dual_encoder(sides=sides, loss="sigmod"), "Did you mean 'sigmoid'?")
    # A side adapts and is distilled like any other model.
    front = made.side("front")
    student = tft.Distiller(front, made.side("back"), tft.losses.EmbeddingMatching(), weight=1.0, verbose=False)
    student.compile("adam")
    assert np.isfinite(student.fit(images(), verbose=0).history["loss"][0])
    head = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2, activation="softmax")])
    adapter = tft.DANN(front, head, seed=0)
    adapter.compile("adam", "sparse_categorical_crossentropy")
    pairs = tft.data.pair_domains((images(), np.arange(8) % 2), images(), batch_size=8)
    assert np.isfinite(adapter.fit(pairs, verbose=0).history["loss"][0])


@row("contrastive.recall_at_k")
def _(recall_at_k):
    check_refuses(lambda: recall_at_k(np.eye(2), np.eye(2), 0), "`k`", "at least 1")
    check_refuses(lambda: recall_at_k(np.ones(3), np.eye(2)), "`queries`", "(num, dim)")
    check_refuses(lambda: recall_at_k(np.eye(2), np.eye(3)), "one width")


@row("contrastive.retrieval_recall")
def _(retrieval_recall):
    assert set(retrieval_recall(model(), PAIRS, ks=[8]).values()) == {1.0}


@row("contrastive.zero_shot")
def _(zero_shot):
    classifier = zero_shot(model(), {"x": PAIRS["b"][:1], "y": PAIRS["b"][1:]})
    check_saves(classifier, PAIRS["a"])
    assert np.isfinite(classifier.fit(PAIRS["a"], np.arange(8) % 2, verbose=0).history["loss"][0])
    check_refuses(lambda: zero_shot(model(), ["a", "b"]), "`descriptions`", "dict")
    check_refuses(lambda: zero_shot(classifier, {}), "ContrastiveModel")
