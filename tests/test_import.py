"""What `import tf_transfer` costs, loads and registers, each seen from a fresh process."""

import json
import os
import subprocess
import sys

import keras
import numpy as np
import tensorflow as tf

import tf_transfer as tft

# Keras itself imports matplotlib, scikit-learn and scipy where they are installed, so what counts is what comes on top;
# that no room imports them at the top of a file is held by ruff.toml (banned-module-level-imports).
LATE = ["matplotlib", "sklearn", "keras_tuner", "tensorflow_hub", "tf_keras", "kagglehub", "tensorflow_serving"]

IMPORT = """
import json, sys, time
import keras
before = set(sys.modules)
# Of the processor: what else the machine does is not ours.
start = time.process_time()
import tf_transfer
seconds = time.process_time() - start
new = sorted({name.split(".")[0] for name in set(sys.modules) - before})
print(json.dumps({"seconds": seconds, "of_keras": start, "new": new, "all": sorted(sys.modules)}))
"""

EVERYTHING = """
import json, random, socket, sys
import keras, numpy as np

def refuse(*args, **kwargs):
    raise RuntimeError("the import asked for a connection")

def state():
    numbers = np.random.get_state()[1].tolist()
    return [random.getstate()[1][:5], numbers[:5], keras.config.dtype_policy().name, keras.config.floatx()]

socket.socket.connect = socket.getaddrinfo = refuse
modules, first = set(sys.modules), state()
import tf_transfer as tft
for name in dir(tft):
    getattr(tft, name)
import tf_transfer.cli
new = sorted({name.split(".")[0] for name in set(sys.modules) - modules})
print(json.dumps({"new": new, "same_state": state() == first}))
"""


def run(code, cwd=None, **environment):
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=cwd,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def last_json(text):
    return json.loads(text.strip().splitlines()[-1])


def test_importing_costs_little_and_loads_nothing_that_is_not_needed():
    runs = [last_json(run(IMPORT)) for _ in range(3)]
    # 0.3 s where Python and Keras take 3 s, and in proportion on a slower machine; the smallest of three, because what
    # else the machine does, in its caches too, can only add to it.
    assert min(each["seconds"] / max(each["of_keras"], 3.0) for each in runs) <= 0.1
    assert not set(runs[0]["new"]) & set(LATE)
    assert not set(runs[0]["all"]) & {"keras_tuner", "tensorflow_hub", "tf_keras"}


def test_every_room_imports_without_a_connection_late_modules_or_a_change_of_global_state():
    seen = last_json(run(EVERYTHING))
    assert not set(seen["new"]) & set(LATE)
    assert seen["same_state"]


def test_plain_keras_opens_a_file_with_our_layers_after_import_tf_transfer(tmp_path):
    class Doubles(tf.Module):
        def __init__(self):
            self.factor = tf.Variable(2.0)

        @tf.function(input_signature=[tf.TensorSpec((None, 3))])
        def __call__(self, inputs):
            return inputs * self.factor

    tf.saved_model.save(Doubles(), str(tmp_path / "doubles"))
    inputs = keras.Input((3,))
    model = keras.Model(inputs, tft.layers.HubLayer(str(tmp_path / "doubles"))(inputs))
    model.save(tmp_path / "model.keras")
    code = (
        "import keras, tf_transfer, numpy as np\n"
        "print(keras.models.load_model('model.keras').predict(np.ones((2, 3), 'float32'), verbose=0).tolist())"
    )
    assert last_json(run(code, cwd=tmp_path)) == np.full((2, 3), 2.0).tolist()
