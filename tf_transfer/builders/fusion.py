"""Builders of models that look at an example with several backbones, or at several kinds of it."""

import dataclasses

import keras

from tf_transfer import _checks
from tf_transfer.builders.audio import AudioBuilder
from tf_transfer.builders.backbone_builder import BackboneBuilder
from tf_transfer.builders.branches import (
    as_branch,
    as_taken,
    check_branches,
    input_like,
    inputs_for,
    shared_inputs,
    swapping,
)
from tf_transfer.builders.fusing import FUSIONS, fuse
from tf_transfer.builders.image import ImageBuilder
from tf_transfer.builders.targets import ClassifierFields, RegressorFields
from tf_transfer.parameter_efficient.by_name import names_method

BACKBONE = "branches"
# Builders that augment, and what they call their input.
_AUGMENTED = {ImageBuilder: "image", AudioBuilder: "waveform"}


@dataclasses.dataclass(frozen=True, kw_only=True)
class FusionBuilder(BackboneBuilder):
    """The fields that builders on several backbones share: the branches, and how their features become one.

    The model has one nested model, "branches", from all inputs to the features of all branches side by side; what
    fuses them is a part of the head. So the backbone that `tft.fine_tune`, `tft.set_trainable`, feature caching,
    distillation and adaptation find is all branches together: a first phase trains gates and head on cached features
    of frozen branches, a second one what the branches say. Blocks have their branch in front, "photo/block_13".

    Branches whose inputs have the same name share it: one image goes to several backbones, each with its own
    preprocessing, and scaled to the size of each. `inputs` renames the input of a branch that has its own.

    Args:
        branches: Dict from a name to a builder without a head, such as `tft.builders.ImageBuilder(...)`, its dict, or a
            `keras.Model` from inputs to features. At least two. In a branch's builder, fields of the head and of
            training stay at their defaults: they are fields of this one.
        fusion: "concatenate"; "gated", a weighted mean of the branches' projections with weights that each unit of
            each example has for itself; "attention", the same with one weight a branch and example; or "residual", the
            features of the first branch plus a learned mapping of the others, which starts at zero. Defaults to
            "concatenate".
        fusion_units: Integer, units of projections, and of the hidden layer of the mapping. Defaults to 128.
        inputs: Dict from a branch to the name of its input, where that is not the branch's own. Defaults to none.
        trainable: What trains in each branch: a dict from a branch to what `tft.set_trainable` takes, or one of these
            for all; or a parameter-efficient method, for all. Defaults to what the builders of the branches say, and
            to False for a `keras.Model`.
        **fields: Those of `BackboneBuilder`: batch_norm, hidden_units, dropout, l2, regularizer, learning_rate, seed.
    """

    branches: dict
    fusion: str = "concatenate"
    fusion_units: int = 128
    inputs: dict = dataclasses.field(default_factory=dict)
    trainable: bool | int | float | str | tuple | dict | object | None = None

    def __post_init__(self):
        check_branches(self.branches)
        self._set(branches={name: as_branch(name, each) for name, each in self.branches.items()})
        _checks.one_of(self.fusion, "fusion", FUSIONS)
        _checks.integer(self.fusion_units, "fusion_units", 1)
        _checks.known_fields(self.inputs, self.branches, "`inputs` speaks of branches, and `branches`")
        chosen = self._by_branch()
        # A dict means a parameter-efficient method to other builders.
        self._set(trainable=False if isinstance(chosen, dict) else chosen)
        super().__post_init__()
        if isinstance(chosen, dict):
            self._set(trainable=chosen)
        if self.mixes_labels and len(self._augmented_inputs()) > 1:
            raise ValueError("An augmentation that mixes examples would mix those of each input with other ones.")

    @property
    def mixes_labels(self):
        """Whether a branch's augmentation mixes the labels of examples, which are one-hot then."""
        return any(getattr(each, "mixes_labels", False) for each in self.branches.values())

    @property
    def takes_missing(self):
        """Whether NaN in an input stands for a value that is missing."""
        return any(getattr(each, "takes_missing", False) for each in self.branches.values())

    def augment(self, dataset):
        """Returns the dataset of batches with the augmentation of the first branch on each input applied to it."""
        for name, (branch, own) in self._augmented_inputs().items():
            # A builder knows its input by its own name.
            swap = swapping(name, own)
            dataset = branch.augment(dataset.map(swap)).map(swap)
        return dataset

    def _augmented_inputs(self):
        """Returns, for each input that is augmented, the first branch on it and what that calls it."""
        owners = {}
        for name, branch in self.branches.items():
            own = next((known for kind, known in _AUGMENTED.items() if isinstance(branch, kind)), None)
            if own is not None:
                owners.setdefault(self.inputs.get(name, own), (branch, own))
        return owners

    def _by_branch(self):
        """Returns what trains, by branch; False where nothing does; or the parameter-efficient method for all."""
        given = self.trainable
        if names_method(given):
            return given
        if given is None:
            models = {name for name, each in self.branches.items() if isinstance(each, keras.Model)}
            given = {name: name not in models and each.trainable for name, each in self.branches.items()}
        if isinstance(given, bool | int | float):
            given = dict.fromkeys(self.branches, given)
        if isinstance(given, dict):
            _checks.known_fields(given, self.branches, "`trainable` speaks of branches, and `branches`")
            given = {name: given.get(name, False) for name in self.branches}
            if any(names_method(part) for part in given.values()):
                raise ValueError("A parameter-efficient method is for all branches: trainable=tft.LoRA(4).")
            given = {name: tuple(part) if isinstance(part, list) else part for name, part in given.items()}
            return given if any(part is not False for part in given.values()) else False
        return given

    def _features(self):
        parts = [self._branch_model(number, name) for number, name in enumerate(self.branches)]
        inputs = shared_inputs(parts)
        features = [part(inputs_for(part, inputs)) for part in parts]
        joined = keras.layers.Concatenate(name="side_by_side")(features)
        backbone = keras.Model(as_taken(inputs), joined, name=BACKBONE)
        outer = {name: input_like(tensor, name) for name, tensor in inputs.items()}
        sizes = [part.output_shape[-1] for part in parts]
        fused = fuse(backbone(as_taken(outer)), sizes, self.fusion, self.fusion_units, self.seed)
        return as_taken(outer), fused

    def _branch_model(self, number, name):
        """Returns a model from the branch's inputs, as they are called in the whole, to flat features."""
        branch = self.branches[name]
        if isinstance(branch, keras.Model):
            made = [input_like(spec, spec.name) for spec in branch.inputs]
            features = branch(made[0] if len(made) == 1 else keras.tree.pack_sequence_as(branch.input, made))
        else:
            if branch.seed is None and self.seed is not None:
                branch = dataclasses.replace(branch, seed=self.seed + number)
            made, features = branch._features()
            made = keras.tree.flatten(made)
        if len(features.shape) != 2:
            features = keras.layers.Flatten(name="flatten")(features)
        model = keras.Model(as_taken({tensor.name: tensor for tensor in made}), features, name=name)
        if name not in self.inputs:
            return model
        if len(made) > 1:
            raise ValueError(f"`inputs` renames one input; the branch {name!r} has {[each.name for each in made]}.")
        renamed = input_like(made[0], self.inputs[name])
        return keras.Model(renamed, model(renamed), name=name)


@dataclasses.dataclass(frozen=True, kw_only=True)
class FeatureFusion(ClassifierFields, FusionBuilder):
    """Builds a classifier on several backbones, or on several kinds of input.

    `build()` returns a compiled `keras.Model`: the inputs of all branches by name (a dict when there are several), a
    layer "logits", and the output "scores" of shape `(batch, num_classes)` in float32, made of Keras' own layers as far
    as its branches are. `tft.FeatureFusionRegressor` is the same for numbers.

    Args:
        num_classes: Integer, at least 2 (at least 1 with `multi_label`).
        class_names: Sequence of `num_classes` strings, kept for exports and reports. Defaults to none.
        multi_label: Boolean, whether an example may carry several classes. Defaults to False.
        label_smoothing: Float in [0, 1), as in `keras.losses.CategoricalCrossentropy`. Defaults to 0.
        **fields: Those of `FusionBuilder`: branches, fusion, fusion_units, inputs, trainable, and of `BackboneBuilder`:
            batch_norm, hidden_units, dropout, l2, regularizer, learning_rate, seed.

    Raises:
        ValueError: For a field that can't be, before anything is built, and for branches whose inputs do not go
            together.

    Example:

    >>> small = tft.builders.ImageBuilder(weights=None, input_shape=(32, 32, 3), backbone_options={"alpha": 0.35})
    >>> sound = tft.builders.AudioBuilder(sample_rate=8000, trainable=False)
    >>> builder = tft.FeatureFusion(num_classes=3, branches={"photo": small, "voice": sound}, fusion="gated")
    >>> model = builder.build()
    >>> {name: tensor.shape for name, tensor in model.input.items()}, model.output_shape
    ({'image': (None, 32, 32, 3), 'waveform': (None, 8000)}, (None, 3))
    >>> tft.blocks(model)[0], tft.blocks(model)[-1]
    ('photo/stem', 'voice/conv_4')
    >>> tft.FeatureFusion.from_yaml(builder.to_yaml()) == builder
    True
    """


@dataclasses.dataclass(frozen=True, kw_only=True)
class FeatureFusionRegressor(RegressorFields, FusionBuilder):
    """Builds a regressor on several backbones, or on several kinds of input.

    As `FeatureFusion`, with the output "predictions" of shape `(batch, num_outputs)` in the unit of the target. Loss:
    mean squared error.

    Args:
        num_outputs: Integer, number of values to predict. Defaults to 1.
        target_mean: Float, mean of the training targets, in their unit. Defaults to 0.
        target_std: Float above 0, standard deviation of the training targets, in their unit. Defaults to 1.
        **fields: Those of `FusionBuilder`, as in `FeatureFusion`.

    Example:

    >>> encoders = [keras.Sequential([keras.Input((4,), name=name), keras.layers.Dense(3)]) for name in ("a", "b")]
    >>> builder = tft.FeatureFusionRegressor(branches={"first": encoders[0], "second": encoders[1]}, target_mean=5.0)
    >>> builder.build().predict({"a": np.zeros((1, 4)), "b": np.zeros((1, 4))}, verbose=0).tolist()
    [[5.0]]
    """
