"""TF Hub modules of sound, which take one waveform at a time or a batch, as layers of Keras 3."""

import keras
import tensorflow as tf

from tf_transfer import _checks
from tf_transfer.layers import _hub_module
from tf_transfer.layers.hub_layer import HubLayer


@keras.saving.register_keras_serializable(package="tf_transfer")
class HubAudioLayer(HubLayer):
    """Runs a TF2 reusable SavedModel that takes waveforms, and gives one vector for each of a batch.

    Modules of sound disagree more than others: YAMNet takes a single waveform and gives a tuple (scores, embeddings,
    spectrogram), the last two with a row a frame; others take a batch. Here all take a batch, and what has a row a
    frame is averaged over the frames.

    Args:
        handle: As in `HubLayer`.
        output_key: String or integer, which output of a module that gives a dict or a tuple; for YAMNet the embeddings
            are 1. Defaults to None: its only one.
        **options: Further arguments of `HubLayer`: trainable, arguments, output_shape, fingerprint.

    Call arguments:
        inputs: Float tensor of waveforms, shape `(batch, num_samples)`.
        training: Boolean, passed on when the module takes it and the layer is trainable.

    Returns:
        Float tensor of shape `(batch, features)`.

    Raises:
        ValueError: If the module does not take waveforms, or gives several outputs without an `output_key`.

    Example:

    >>> class Loudness(tf.Module):
    ...     @tf.function(input_signature=[tf.TensorSpec([None])])
    ...     def __call__(self, waveform):
    ...         frames = tf.signal.frame(waveform, 4, 4)
    ...         return tf.reduce_max(waveform), tf.stack([tf.reduce_max(frames, 1), tf.reduce_min(frames, 1)], 1)
    >>> tf.saved_model.save(Loudness(), "loudness")
    >>> layer = tft.layers.HubAudioLayer("loudness", output_key=1)
    >>> layer(np.array([[1.0, 0, 0, 0, 3, 0, 0, 0], [0, 0, 0, -2, 0, 0, 0, 0]])).numpy().tolist()
    [[2.0, 0.0], [0.0, -1.0]]
    """

    def __init__(self, handle, output_key=None, **options):
        super().__init__(handle, output_key=output_key, **options)
        spec = _hub_module.input_specs(self._module)
        rank = spec.shape.rank if isinstance(spec, tf.TensorSpec) and spec.dtype.is_floating else None
        if rank not in (1, 2):
            raise ValueError(
                f"The module {self.handle!r} takes {spec}. A module of sound takes waveforms, floats of shape "
                "(num_samples,) or (batch, num_samples); others go into a `HubLayer`."
            )
        self._takes_batches = rank == 2

    def call(self, inputs, training=False):
        kwargs = dict(self.arguments)
        if self._takes_training:
            kwargs["training"] = bool(training) and self.trainable
        waves = _hub_module.cast_inputs(self._module, inputs)
        if self._takes_batches:
            return self._with_shape(_vectors(self._picked(self._module(waves, **kwargs)), axis=1))

        def one(wave):
            return _vectors(self._picked(self._module(wave, **kwargs)), axis=0)

        return self._with_shape(tf.map_fn(one, waves, fn_output_signature=tf.float32))

    def _picked(self, outputs):
        if tf.is_tensor(outputs):
            if self.output_key is not None:
                raise ValueError(
                    f"`output_key` picks one of several outputs, but {self.handle!r} returns one. Leave it out. "
                    f"Received: output_key={self.output_key!r}."
                )
            return outputs
        keys = sorted(outputs) if isinstance(outputs, dict) else list(range(len(outputs)))
        if self.output_key is None:
            raise ValueError(f"{self.handle!r} returns several outputs, {keys}. Say which with `output_key`.")
        return outputs[_checks.one_of(self.output_key, "output_key", keys)]


def _vectors(outputs, axis):
    """Returns the outputs with frames, which stand at `axis` where there are any, averaged."""
    outputs = tf.cast(outputs, tf.float32)
    return tf.reduce_mean(outputs, axis=axis) if outputs.shape.rank == axis + 2 else outputs
