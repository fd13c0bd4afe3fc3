"""Where weights are from: what is recorded, what stands beside them, and nothing that is invented."""

import hashlib
from importlib import metadata

import keras
import numpy as np
import pytest
from test_report import Text

import tf_transfer as tft
from tf_transfer.reporting.provenance import licence_beside, provenance


@pytest.fixture
def weights(tmp_path):
    path = tmp_path / "net" / "small.weights.h5"
    path.parent.mkdir()
    path.write_bytes(b"weights")
    return path


def test_a_file_has_its_digest_and_says_nothing_of_a_licence(weights):
    rows = dict(provenance("mobilenet_v2", str(weights)))
    assert rows["weights"] == "small.weights.h5" and str(weights) not in str(rows)
    assert rows["SHA-256 of the file"] == hashlib.sha256(b"weights").hexdigest()
    assert rows["licence"] == "not stated by the file, nor beside it"
    assert dict(provenance("mobilenet_v2", str(weights), licence="my own"))["licence"] == "my own"


@pytest.mark.parametrize(
    "name, text, said",
    [
        (
            "LICENSE",
            "\n   Apache License\n  Version 2.0, January 2004\n\n...",
            "Apache License, Version 2.0, January 2004",
        ),
        ("LICENCE.txt", "MIT License\n\nCopyright (c) 2020 Somebody", "MIT License, Copyright (c) 2020 Somebody"),
        ("README.md", "---\ntags: [x]\nlicense: apache-2.0\n---\n# Net", "apache-2.0"),
        ("README.md", "# Net\n\n## License\n\nCC BY-SA 4.0.\n", "CC BY-SA 4.0."),
        ("MODEL_CARD.md", "- **Licence:** for research only\n", "for research only"),
        ("LICENSE", "long " * 99, f"{('long ' * 99)[:117]}..."),
    ],
)
def test_what_stands_beside_a_file_is_told_with_its_place(weights, name, text, said):
    (weights.parent / name).write_text(text)
    assert licence_beside(str(weights)) == f"{said} (as {name} beside it says)"


def test_a_licence_is_believed_before_a_readme_and_a_mere_word_is_none(weights):
    (weights.parent / "README.md").write_text("A licensed network under the License of nobody.\n")
    assert licence_beside(str(weights)) is None
    (weights.parent / "README.md").write_text("License: MIT\n")
    (weights.parent / "LICENSE").write_text("BSD 3-Clause\n")
    assert licence_beside(str(weights)) == "BSD 3-Clause (as LICENSE beside it says)"


def test_of_a_version_the_folder_above_counts_too(tmp_path):
    (tmp_path / "net" / "1").mkdir(parents=True)
    (tmp_path / "net" / "README.md").write_text("License: MIT\n")
    rows = dict(provenance("hub:net/1", "imagenet", folder=str(tmp_path), recorded={"backbone": "ab12-3"}))
    assert rows["backbone"] == "hub:net/1" and rows["weights"] == "a module of TensorFlow Hub"
    assert rows["licence"] == "MIT (as README.md beside it says)" and rows["fingerprint in the run"] == "ab12-3"
    assert "SHA-256 of the file" not in rows
    assert dict(provenance(f"hub:{tmp_path}/net/1", None))["backbone"] == "hub:net/1"


def test_names_are_told_as_far_as_they_tell():
    rows = dict(provenance("mobilenet_v2", "imagenet"))
    assert "keras.applications.MobileNetV2" in rows["backbone"] and rows["licence"].startswith("not stated by Keras")
    rows = dict(provenance("mobilenet_v2", None))
    assert "nothing was transferred" in rows["weights"] and "licence" not in rows
    own = metadata.metadata("tf-transfer")
    found = own.get("License-Expression") or own.get("License")
    assert dict(provenance("mnist_encoder", "imagenet"))["licence"] == f"{found}, that of tf-transfer"
    address = "https://example.org/net/1"
    rows = dict(provenance(f"hub:{address}", "imagenet"))
    assert rows["backbone"] == f"hub:{address}" and rows["licence"] == "not stated by the file, nor beside it"
    assert provenance(keras.Sequential(), "imagenet") == []


def test_the_page_has_it(tmp_path):
    backbone = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Conv2D(2, 3)], name="net")
    (tmp_path / "LICENSE").write_text("MIT License\n")
    backbone.save(tmp_path / "net.keras")
    builder = tft.ImageClassifier(num_classes=2, backbone=f"file:{tmp_path}/net.keras", seed=0)
    data = (np.random.default_rng(0).uniform(0, 255, (6, 8, 8, 3)).astype("float32"), np.arange(6) % 2)
    text = Text(tft.report(builder.build(), data, tmp_path / "page.html", num_shown=1, verbose=0)).text
    digest = hashlib.sha256((tmp_path / "net.keras").read_bytes()).hexdigest()
    assert digest in text and "MIT License (as LICENSE beside it says)" in text
    text = Text(tft.report(builder.build(), data, tmp_path / "page.html", licence="CC0", num_shown=1, verbose=0)).text
    assert "CC0" in text and "MIT License" not in text
