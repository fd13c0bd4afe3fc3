import json
import shutil
import zipfile
from pathlib import Path

import hub_modules
import keras
import numpy as np
import pytest
import tensorflow as tf

from tf_transfer.layers import HubLayer, load_model


def data(count=32):
    rng = np.random.default_rng(1)
    return rng.normal(size=(count, 4, 4, 1)).astype("float32"), rng.normal(size=(count, 1)).astype("float32")


def trained(folder, optimizer=None):
    """Returns a model on the module in `folder`, after some steps."""
    layer = HubLayer(folder, trainable=True)
    model = keras.Sequential(
        [keras.Input((4, 4, 1)), layer, keras.layers.Dense(1, kernel_initializer=keras.initializers.GlorotUniform(1))]
    )
    model.compile(optimizer or keras.optimizers.Adam(0.01), "mse")
    model.fit(*data(), epochs=1, batch_size=8, shuffle=False, verbose=0)
    return model


@pytest.fixture
def folder(image_folder, tmp_path):
    """A module of this test's own, to be deleted."""
    return shutil.copytree(image_folder, tmp_path / "here" / "module")


def rewritten(path, change):
    """Writes the zip file at `path` again with `change(name, content)` for each member; None leaves it out."""
    with zipfile.ZipFile(path) as file:
        members = [(name, file.read(name)) for name in file.namelist()]
    with zipfile.ZipFile(path, "w") as file:
        for name, content in members:
            changed = change(name, content)
            if changed is not None:
                file.writestr(*changed)
    return path


def test_another_machine_predicts_the_same_and_trains_on_the_same_way(folder, tmp_path, monkeypatch):
    model = trained(folder)
    x, y = data()
    model.save(tmp_path / "model.keras")
    np.savez(tmp_path / "before.npz", scores=model.predict(x, verbose=0))
    shutil.rmtree(folder)
    monkeypatch.setenv("TF_TRANSFER_CACHE", str(tmp_path / "another_cache"))
    script = """
        import sys, numpy as np, tf_transfer as tft
        sys.path.insert(0, sys.argv[2])
        from test_hub_saving import data
        x, y = data()
        model = tft.load_model(sys.argv[1] + "/model.keras")
        scores = model.predict(x, verbose=0)
        history = model.fit(x, y, epochs=2, batch_size=8, shuffle=False, verbose=0).history["loss"]
        np.savez(sys.argv[1] + "/after.npz", scores=scores, history=history, continued=model.predict(x, verbose=0),
                 iterations=model.optimizer.iterations.numpy())
        model.save(sys.argv[1] + "/again.keras")
    """
    hub_modules.run_fresh(script, tmp_path, Path(__file__).parent)
    history = model.fit(x, y, epochs=2, batch_size=8, shuffle=False, verbose=0).history["loss"]
    before, after = np.load(tmp_path / "before.npz"), np.load(tmp_path / "after.npz")
    np.testing.assert_array_equal(after["scores"], before["scores"])
    assert after["iterations"] == 12
    np.testing.assert_allclose(after["history"], history, rtol=1e-6)
    np.testing.assert_allclose(after["continued"], model.predict(x, verbose=0), rtol=1e-5, atol=1e-6)
    assert np.abs(after["continued"] - before["scores"]).max() > 1e-3
    assert "handle" in zipfile.ZipFile(tmp_path / "again.keras").read("config.json").decode()
    monkeypatch.setenv("TF_TRANSFER_CACHE", str(tmp_path / "third_cache"))
    again = load_model(tmp_path / "again.keras")
    np.testing.assert_array_equal(again.predict(x, verbose=0), after["continued"])


def test_plain_keras_opens_the_file_where_the_module_is_there(folder, tmp_path):
    model = trained(folder)
    model.save(tmp_path / "model.keras")
    np.save(tmp_path / "scores.npy", model.predict(data()[0], verbose=0))
    script = """
        import sys, numpy as np, keras, tf_transfer.layers
        sys.path.insert(0, sys.argv[2])
        from test_hub_saving import data
        model = keras.models.load_model(sys.argv[1] + "/model.keras", safe_mode=True)
        difference = np.abs(model.predict(data()[0], verbose=0) - np.load(sys.argv[1] + "/scores.npy")).max()
        model.fit(*data(), verbose=0)
        print("RESULT", difference)
    """
    printed = hub_modules.run_fresh(script, tmp_path, Path(__file__).parent)
    assert float(printed.split("RESULT")[1]) == 0.0


def test_plain_keras_says_where_to_go_when_the_module_is_gone(folder, tmp_path):
    trained(folder).save(tmp_path / "model.keras")
    shutil.rmtree(folder)
    with pytest.raises(FileNotFoundError, match=r"tf_transfer\.load_model"):
        keras.saving.load_model(tmp_path / "model.keras")


def test_after_load_model_clones_and_plain_keras_find_the_module(folder, tmp_path):
    trained(folder).save(tmp_path / "model.keras")
    shutil.rmtree(folder)
    model = load_model(tmp_path / "model.keras")
    copy = keras.models.clone_model(model)
    copy.set_weights(model.get_weights())
    x, _ = data()
    np.testing.assert_array_equal(copy.predict(x, verbose=0), model.predict(x, verbose=0))
    assert keras.saving.load_model(tmp_path / "model.keras").layers[0].handle == str(folder)


def test_the_carried_module_counts_not_what_lies_under_the_handle_now(folder, tmp_path):
    model = trained(folder)
    x, _ = data()
    expected = model.predict(x, verbose=0)
    model.save(tmp_path / "model.keras")
    shutil.rmtree(folder)
    hub_modules.save_text_module(folder)
    with pytest.raises(ValueError, match=r"not the one that handle=.*load_model"):
        keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(load_model(tmp_path / "model.keras").predict(x, verbose=0), expected)


def test_text_module_brings_its_vocabulary(text_folder, tmp_path):
    folder = shutil.copytree(text_folder, tmp_path / "module")
    words = keras.Input((), dtype="string")
    model = keras.Model(words, HubLayer(folder, output_key="embedding")(words))
    model.save(tmp_path / "model.keras")
    shutil.rmtree(folder)
    scores = load_model(tmp_path / "model.keras").predict(tf.constant(["fish", "?"]), verbose=0)
    np.testing.assert_array_equal(scores, [[6, 7, 8], [9, 10, 11]])


def test_two_modules_nested_and_frozen_come_back_each_its_own(image_folder, tmp_path):
    hub_modules.save_image_module(tmp_path / "b" / "module", seed=7)
    folders = [shutil.copytree(image_folder, tmp_path / "a" / "module"), tmp_path / "b" / "module"]
    image = keras.Input((4, 4, 1))
    inner = keras.Model(image, HubLayer(folders[0], trainable=True)(image))
    outer = keras.Input((4, 4, 1))
    model = keras.Model(outer, keras.layers.concatenate([inner(outer), HubLayer(folders[1])(outer)]))
    x, _ = data()
    expected = model.predict(x, verbose=0)
    model.save(tmp_path / "model.keras")
    for folder in folders:
        shutil.rmtree(folder)
    loaded = load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded.predict(x, verbose=0), expected)
    assert np.abs(expected[:, :2] - expected[:, 2:]).max() > 0.1
    assert len(loaded.trainable_variables) == 3


def test_folder_format(folder, tmp_path):
    model = trained(folder)
    x, y = data()
    model.save(tmp_path / "model", zipped=False)
    shutil.rmtree(folder)
    loaded = load_model(tmp_path / "model")
    np.testing.assert_array_equal(loaded.predict(x, verbose=0), model.predict(x, verbose=0))
    loaded.fit(x, y, verbose=0)


def test_a_module_that_changed_since_is_not_packed(folder, tmp_path):
    model = trained(folder)
    (folder / "saved_model.pb").write_bytes(b"another")
    with pytest.raises(ValueError, match="changed or deleted since it was loaded"):
        model.save(tmp_path / "model.keras")
    shutil.rmtree(folder)
    with pytest.raises(ValueError, match="changed or deleted since it was loaded"):
        model.save(tmp_path / "model.keras")


def test_models_without_hub_layers_open_as_ever(tmp_path, own_cache):
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.save(tmp_path / "model.keras")
    assert load_model(str(tmp_path / "model.keras")).count_params() == 3
    assert list(own_cache.iterdir()) == []


def test_members_that_would_leave_the_folder(folder, tmp_path, own_cache):
    trained(folder).save(tmp_path / "model.keras")

    def escape(name, content):
        return name.replace("module/saved_model.pb", "module/../../../../escaped"), content

    with pytest.raises(ValueError, match="outside its folder"):
        load_model(rewritten(tmp_path / "model.keras", escape))
    assert list(own_cache.iterdir()) == [] and not list(tmp_path.rglob("escaped"))


@pytest.mark.parametrize("noted", ["../../escaped", "A" * 64, 7, None])
def test_a_fingerprint_that_is_none(folder, tmp_path, own_cache, noted):
    trained(folder).save(tmp_path / "model.keras")

    def forge(name, content):
        return name, json.dumps({"fingerprint": noted}) if name.endswith("hub_layer.json") else content

    with pytest.raises(ValueError, match="impossible fingerprint"):
        load_model(rewritten(tmp_path / "model.keras", forge))
    assert list(own_cache.iterdir()) == []


def test_other_content_than_noted_is_not_kept(folder, tmp_path, own_cache):
    trained(folder).save(tmp_path / "model.keras")

    def swap(name, content):
        return name, content + b"x" if name.endswith("saved_model.pb") else content

    with pytest.raises(ValueError, match="is damaged"):
        load_model(rewritten(tmp_path / "model.keras", swap))
    assert list((own_cache / "modules").iterdir()) == []


def test_a_half_deleted_cache_is_filled_again(folder, tmp_path, own_cache):
    trained(folder).save(tmp_path / "model.keras")
    shutil.rmtree(folder)
    load_model(tmp_path / "model.keras")
    (kept,) = (own_cache / "modules").iterdir()
    (kept / "saved_model.pb").unlink()
    assert load_model(tmp_path / "model.keras").built
    assert (kept / "saved_model.pb").is_file()


def test_a_missing_a_truncated_and_a_foreign_file(folder, tmp_path):
    with pytest.raises(FileNotFoundError, match="There is no model at"):
        load_model(tmp_path / "missing.keras")
    trained(folder).save(tmp_path / "model.keras")
    whole = (tmp_path / "model.keras").read_bytes()
    (tmp_path / "model.keras").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match=r"is no `\.keras` file"):
        load_model(tmp_path / "model.keras")
