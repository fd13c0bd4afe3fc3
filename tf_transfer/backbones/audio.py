"""`load_audio_backbone`: waveforms in, features out, whatever the source."""

import os

import keras

from tf_transfer import _checks
from tf_transfer.backbones.loading import load_backbone, model_name, names
from tf_transfer.backbones.log_mel import log_mel
from tf_transfer.backbones.reinitializing import reinitialize
from tf_transfer.backbones.saved import open_saved_model
from tf_transfer.layers import HubAudioLayer

SMALL = "small_conv"
_FILTERS = (24, 48, 96, 96)
_POOLING = {"avg": keras.layers.GlobalAveragePooling1D, "max": keras.layers.GlobalMaxPooling1D}


def load_audio_backbone(
    name="small_conv",
    weights=None,
    sample_rate=16000,
    num_samples=16000,
    pooling="avg",
    *,
    log_mel_options=None,
    seed=None,
    **options,
):
    """Loads a network as a Keras model from waveforms to features, the spectrogram inside.

    Args:
        name: String, where the network comes from:

            - "small_conv", four convolutions on the log-mel spectrogram, which start at random: for a few hours of
              sound, and to pretrain on what is like the target;
            - a name of `tft.backbones.names()`, a network of images, which sees the spectrogram as a grey picture;
            - "hub:" and a handle of a module that takes waveforms, as in `tft.layers.HubAudioLayer`;
            - "file:" and the path of a saved Keras model that takes waveforms, or spectrograms of the shape and
              normalization that `log_mel_options` say.
        weights: None for random ones, "imagenet" for a network of images, or the path of a `.weights.h5` file. Hub
            modules and saved models have their own. Defaults to None.
        sample_rate: Integer, samples a second. Defaults to 16000.
        num_samples: Integer, samples of a waveform. Defaults to 16000.
        pooling: "avg", "max", or None for feature maps. Defaults to "avg".
        log_mel_options: Dict, arguments of `tft.backbones.log_mel`. Defaults to none.
        seed: Integer, of random weights. Defaults to None.
        **options: Further arguments: of the constructor in `keras.applications`, such as `alpha=0.35`; `filters` of
            "small_conv"; `output_key` of a module; `output_layer` of a saved model.

    Returns:
        A `keras.Model`, input "waveform" of shape `(batch, num_samples)`, float32 in [-1, 1], output
        `(batch, features)`.

    Raises:
        ValueError: For an unknown name or option, weights that do not go with the name, or a model of other inputs.

    Example:

    >>> backbone = tft.backbones.load_audio_backbone("small_conv", sample_rate=8000, num_samples=8000)
    >>> backbone.input.name, backbone.input_shape, backbone.output_shape
    ('waveform', (None, 8000), (None, 384))
    """
    name = os.fspath(name)
    if pooling is not None:
        _checks.one_of(pooling, "pooling", ["avg", "max"])
    waveform = keras.Input((_checks.integer(num_samples, "num_samples", 1),), name="waveform")
    if name.startswith(("hub:", "file:")):
        if weights is not None:
            raise ValueError(f"{name!r} has its own weights. Leave `weights` out. Received: weights={weights!r}.")
        if name.startswith("hub:"):
            place = name.removeprefix("hub:")
            return keras.Model(waveform, HubAudioLayer(place, **options)(waveform), name=model_name(place))
        saved = open_saved_model(name.removeprefix("file:"), **options)
        return on_waveforms(saved, num_samples, sample_rate, log_mel_options)
    if name != SMALL and name not in names():
        known = [SMALL, *names()]
        hint = _checks.did_you_mean(name, known)
        raise ValueError(
            f"Unknown audio backbone {name!r}.{hint} Known are {known}, 'hub:HANDLE' and 'file:MODEL.keras'."
        )
    pictures = log_mel(waveform, sample_rate, **(log_mel_options or {}))
    shape = tuple(pictures.shape[1:])
    if name == SMALL:
        network = spectrogram_encoder(shape, pooling, **options)
        if weights is not None:
            network.load_weights(weights)
    else:
        network = load_backbone(name, weights, shape, pooling, **options)
        # Mean 0 and deviation 1 to a grey picture, so that what the network was trained on stays in its range.
        pictures = keras.layers.Rescaling(127.5 / 2, offset=127.5, name="as_image", dtype="float32")(pictures)
    if weights is None and seed is not None:
        reinitialize(network, seed)
    return keras.Model(waveform, network(pictures), name=f"{name}_audio")


def on_waveforms(model, num_samples, sample_rate, log_mel_options=None):
    """Returns a model from waveforms, for one that takes them or spectrograms.

    Args:
        model: `keras.Model` of one input, `(batch, num_samples)` or `(batch, num_mel_bins, num_frames, 1)`.
        num_samples: Integer, samples of a waveform.
        sample_rate: Integer, samples a second.
        log_mel_options: Dict, arguments of `log_mel`.
    """
    shapes = [tuple(spec.shape[1:]) for spec in model.inputs]
    if shapes == [(num_samples,)]:
        return model
    waveform = keras.Input((num_samples,), name="waveform")
    if shapes == [(None,)]:
        return keras.Model(waveform, model(waveform), name=f"{model.name}_audio")
    pictures = log_mel(waveform, sample_rate, **(log_mel_options or {}))
    expected = tuple(pictures.shape[1:])
    if len(shapes) == 1 and len(shapes[0]) == 3 and all(a in (None, b) for a, b in zip(shapes[0], expected)):
        return keras.Model(waveform, model(pictures), name=f"{model.name}_audio")
    raise ValueError(
        f"The backbone {model.name!r} must have one input, waveforms of shape ({num_samples},) or spectrograms of "
        f"shape {expected}. Received: {shapes}."
    )


def spectrogram_encoder(input_shape, pooling="avg", filters=_FILTERS):
    """Returns the network "small_conv": convolutions that halve a spectrogram, and a mean over what is left of time.

    Each is followed by a normalization over groups of channels, which has no statistics of its own: nothing to
    freeze, and nothing that differs between the batches of a source and those of a target.

    Args:
        input_shape: Tuple `(bands, frames, 1)`.
        pooling: "avg" or "max" over time, bands and channels side by side, or None. Defaults to "avg".
        filters: Sequence of integers, multiples of 8, the filters of each convolution. Defaults to (24, 48, 96, 96).
    """
    smallest = 2 ** len(filters)
    if min(input_shape[:2]) < smallest:
        raise ValueError(
            f"{len(filters)} convolutions need at least {smallest} bands and frames. Received: {input_shape[:2]}."
        )
    x = spectrogram = keras.Input(input_shape, name="spectrogram")
    for i, number in enumerate(filters, start=1):
        number = _checks.integer(number, "filters", 1)
        if number % 8:
            raise ValueError(f"`filters` must be multiples of 8, the groups of the normalization. Received: {filters}.")
        x = keras.layers.Conv2D(number, 3, padding="same", use_bias=False, name=f"conv_{i}")(x)
        x = keras.layers.GroupNormalization(8, name=f"norm_{i}")(x)
        x = keras.layers.ReLU(name=f"relu_{i}")(x)
        x = keras.layers.MaxPooling2D(name=f"pool_{i}")(x)
    if pooling is not None:
        bands, frames, channels = x.shape[1:]
        x = keras.layers.Permute((2, 1, 3), name="time_first")(x)
        x = keras.layers.Reshape((frames, bands * channels), name="bands_and_channels")(x)
        x = _POOLING[pooling](name=f"{pooling}_pooling")(x)
    return keras.Model(spectrogram, x, name=SMALL)
