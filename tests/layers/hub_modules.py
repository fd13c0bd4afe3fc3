"""Small reusable SavedModels that the tests of Hub layers are run on."""

import subprocess
import sys
import textwrap

import tensorflow as tf


class ImageModule(tf.Module):
    """Two features of a 4x4 image: a dense kernel, batch normalization with moving averages, two penalties."""

    def __init__(self, seed=0):
        super().__init__()
        draw = tf.random.stateless_normal([16, 2], seed=[seed, 1])
        self.kernel = tf.Variable(draw, name="block/kernel")
        self.gamma = tf.Variable(tf.ones([2]), name="norm/gamma")
        self.beta = tf.Variable(tf.zeros([2]), name="norm/beta")
        options = {"trainable": False, "aggregation": tf.VariableAggregation.MEAN}
        options["synchronization"] = tf.VariableSynchronization.ON_READ
        self.mean = tf.Variable(tf.zeros([2]), name="norm/moving_mean", **options)
        self.variance = tf.Variable(tf.ones([2]), name="norm/moving_variance", **options)
        self.variables_listed = [self.kernel, self.gamma, self.beta, self.mean, self.variance]
        self.penalties = [
            tf.function(lambda: 0.5 * tf.reduce_sum(self.kernel**2), input_signature=[]),
            tf.function(lambda: 0.25 * tf.reduce_sum(self.gamma**2), input_signature=[]),
        ]

    @tf.function
    def __call__(self, images, training=False):
        x = tf.reshape(images, [-1, 16]) @ self.kernel
        if training:
            mean, variance = tf.nn.moments(x, axes=[0])
            self.mean.assign(0.9 * self.mean + 0.1 * mean)
            self.variance.assign(0.9 * self.variance + 0.1 * variance)
        else:
            mean, variance = self.mean, self.variance
        return tf.nn.batch_normalization(x, mean, variance, self.beta, self.gamma, 1e-3)


class TextModule(tf.Module):
    """One embedding a word, looked up in a vocabulary file; a dict of two outputs."""

    def __init__(self, vocabulary_file, words):
        super().__init__()
        self.asset = tf.saved_model.Asset(str(vocabulary_file))
        initializer = tf.lookup.TextFileInitializer(
            self.asset.asset_path,
            tf.string,
            tf.lookup.TextFileIndex.WHOLE_LINE,
            tf.int64,
            tf.lookup.TextFileIndex.LINE_NUMBER,
        )
        self.table = tf.lookup.StaticHashTable(initializer, default_value=words)
        self.embeddings = tf.Variable(tf.reshape(tf.range(3.0 * (words + 1)), [words + 1, 3]), name="embeddings")
        self.variables_listed = [self.embeddings]

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])
    def __call__(self, words):
        index = self.table.lookup(words)
        return {"embedding": tf.gather(self.embeddings, index), "index": index}


def save_image_module(folder, seed=0, lists_variables=True):
    """Writes an `ImageModule` to `folder` and returns it."""
    module = ImageModule(seed)
    spec = tf.TensorSpec([None, 4, 4, 1], tf.float32, name="images")
    for training in (False, True):
        module.__call__.get_concrete_function(spec, training=training)
    return _save(module, folder, lists_variables, module.penalties)


def save_text_module(folder, vocabulary=("cat", "dog", "fish")):
    """Writes a `TextModule` with a vocabulary asset to `folder` and returns it."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    file = folder.parent / "vocabulary.txt"
    file.write_text("\n".join(vocabulary) + "\n")
    module = _save(TextModule(file, len(vocabulary)), folder, True, [])
    file.unlink()
    return module


def _save(module, folder, lists_variables, losses):
    root = tf.train.Checkpoint(content=module)
    root.__call__ = module.__call__
    if lists_variables:
        root.variables = module.variables_listed
        root.trainable_variables = [variable for variable in module.variables_listed if variable.trainable]
        root.regularization_losses = losses
    tf.saved_model.save(root, str(folder))
    return module


def run_fresh(script, *arguments):
    """Runs Python code in a process of its own and returns what it printed; fails with its errors."""
    command = [sys.executable, "-c", textwrap.dedent(script), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout
