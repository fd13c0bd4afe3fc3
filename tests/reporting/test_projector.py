"""What the projector of TensorBoard reads, asked through its own plugin."""

import io
import json

import numpy as np
import pytest
from PIL import Image
from tensorboard.plugins.base_plugin import TBContext
from tensorboard.plugins.projector.projector_plugin import ProjectorPlugin
from werkzeug.test import Client
from werkzeug.wrappers import Response

from tf_transfer.reporting import write_projector

FEATURES = np.random.default_rng(0).normal(size=(5, 2, 3))


@pytest.fixture
def ask(tmp_path):
    """Returns a function that asks the plugin as its page does, for what lies in a folder."""
    apps = ProjectorPlugin(TBContext(logdir=str(tmp_path))).get_plugin_apps()

    def get(route, **query):
        response = Client(apps[route], Response).get("/", query_string={"run": ".", **query})
        assert response.status_code == 200, response.data
        return response.data

    return get


def test_the_plugin_reads_the_features(tmp_path, ask):
    write_projector({"before": FEATURES, "after": 2 * FEATURES}, tmp_path, columns={"label": list("abcab")})
    config = json.loads(ask("/info"))
    assert [embedding["tensorName"] for embedding in config["embeddings"]] == ["before", "after"]
    assert config["embeddings"][0]["tensorShape"] == [5, 6]
    for name, factor in (("before", 1), ("after", 2)):
        found = np.frombuffer(ask("/tensor", name=name), "float32").reshape(5, 6)
        np.testing.assert_allclose(found, factor * FEATURES.reshape(5, 6), rtol=1e-5)
        # One column has no header: it would count as an example.
        assert ask("/metadata", name=name) == b"a\nb\nc\na\nb\n"


def test_several_columns_have_a_header_and_stay_on_their_lines(tmp_path, ask):
    columns = {"label": ["two\tparts", "a", "b", "c", "line\nend"], "domain": np.arange(5)}
    write_projector(FEATURES, tmp_path, columns=columns)
    lines = ask("/metadata", name="features").decode().splitlines()
    assert lines[0] == "label\tdomain" and lines[1] == "two parts\t0" and lines[5] == "line end\t4" and len(lines) == 6


def test_the_pictures_stand_in_order(tmp_path, ask):
    images = np.zeros((5, 8, 16, 1)) + 50 * np.arange(5)[:, None, None, None]
    write_projector(FEATURES, tmp_path, images=images, thumbnail=4)
    assert json.loads(ask("/info"))["embeddings"][0]["sprite"]["singleImageDim"] == [4, 4]
    sprite = np.asarray(Image.open(io.BytesIO(ask("/sprite_image", name="features"))))
    # Three a row; what is left over is white.
    assert sprite.shape == (12, 12)
    assert sprite[::4, ::4].ravel().tolist() == [0, 50, 100, 150, 200, 255, 255, 255, 255]


def test_what_does_not_fit_is_refused_before_anything_is_written(tmp_path):
    with pytest.raises(ValueError, match="same examples"):
        write_projector({"a": FEATURES, "b": FEATURES[1:]}, tmp_path / "logs")
    with pytest.raises(ValueError, match="one value for each of 5"):
        write_projector(FEATURES, tmp_path / "logs", columns={"label": ["a"]})
    with pytest.raises(ValueError, match="`images`"):
        write_projector(FEATURES, tmp_path / "logs", images=np.zeros((4, 8, 8, 3)))
    with pytest.raises(ValueError, match="one of a file"):
        write_projector({"a/b": FEATURES}, tmp_path / "logs")
    with pytest.raises(ValueError, match="finite"):
        write_projector(FEATURES * np.nan, tmp_path / "logs")
    assert not (tmp_path / "logs").exists()
