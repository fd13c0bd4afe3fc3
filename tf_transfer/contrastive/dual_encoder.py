"""The builder of contrastive models: two trunks of any builders, and the space that both are projected into."""

import dataclasses

import keras

from tf_transfer import _checks
from tf_transfer.builders.base import Builder
from tf_transfer.builders.heads import hidden_layers
from tf_transfer.builders.nested import as_trunk
from tf_transfer.contrastive.contrastive_model import ContrastiveModel
from tf_transfer.losses import InfoNCE, SigmoidContrastive

LOSSES = {"info_nce": InfoNCE, "sigmoid": SigmoidContrastive}


@dataclasses.dataclass(frozen=True, kw_only=True)
class DualEncoder(Builder):
    """Builds two encoders, of images and texts or of any two kinds of input, that embed into one space.

    `build()` returns a compiled `tft.ContrastiveModel`, to be fitted on pairs, {"image": images, "text": captions}. On
    each trunk sits a linear projection; the embeddings have length 1. It is a method, for its loss is of whole batches
    and no output by itself has one; `side(name)`, `deployable()` and `tft.contrastive.zero_shot` give plain models.

    Args:
        sides: Dict from two names to builders without a head, such as {"image": tft.builders.ImageBuilder(...), "text":
            tft.builders.TextBuilder(...)}, or their dicts as `to_dict` gives them. Their fields say what the inputs
            are, which backbones, and what trains in them; `dropout` and `hidden_units` count in front of the
            projection, and the learning rate is the field below.
        embedding_dim: Integer, the dimensions of the space. Defaults to 128.
        loss: "info_nce" (the softmax of CLIP) or "sigmoid" (SigLIP, which needs no large batches). Defaults to
            "info_nce".
        temperature: Float above 0, at which its learning begins. Defaults to None: that of the loss.
        learning_rate: Float, of the Adam optimizer that the model is compiled with. Defaults to 1e-3.
        seed: Integer or None, of the projections. Defaults to None.

    Raises:
        ValueError: For a field that can't be, before anything is built.

    Example:

    >>> image = tft.builders.ImageBuilder(weights=None, input_shape=(32, 32, 3), backbone_options={"alpha": 0.35})
    >>> text = tft.builders.TextBuilder(backbone_options={"dim": 8}).adapt(["a red rose", "a tulip"], verbose=0)
    >>> builder = tft.DualEncoder(sides={"image": image, "text": text}, embedding_dim=16)
    >>> model = builder.build()
    >>> model.sides, model.side("text").output_shape, round(float(1 / model.scale), 3)
    (('image', 'text'), (None, 16), 0.07)
    >>> tft.DualEncoder.from_yaml(builder.to_yaml()) == builder
    True

    Reference:
        Radford et al., 2021, https://arxiv.org/abs/2103.00020
    """

    sides: dict
    embedding_dim: int = 128
    loss: str = "info_nce"
    temperature: float | None = None
    learning_rate: float = 1e-3
    seed: int | None = None

    def __post_init__(self):
        super().__post_init__()
        if not isinstance(self.sides, dict) or len(self.sides) != 2:
            raise ValueError(f"`sides` must be a dict of two names to builders. Received: sides={self.sides!r}.")
        self._set(sides={name: as_trunk(each, f"sides[{name!r}]") for name, each in self.sides.items()})
        _checks.integer(self.embedding_dim, "embedding_dim", 1)
        _checks.one_of(self.loss, "loss", LOSSES)
        if self.temperature is not None:
            _checks.positive(self.temperature, "temperature")
        _checks.number(self.learning_rate, "learning_rate", 0.0)

    def build(self):
        encoders = {name: self._encoder(name, number) for number, name in enumerate(self.sides)}
        options = {} if self.temperature is None else {"temperature": self.temperature}
        model = ContrastiveModel(encoders, LOSSES[self.loss](**options), name="dual_encoder")
        model.compile(keras.optimizers.Adam(self.learning_rate))
        model.builder = self
        return model

    def _encoder(self, name, number):
        trunk = self.sides[name]
        inputs, features = trunk._features()
        hidden = hidden_layers(features, **trunk._head_options(), prefix=f"{name}_")
        seed = None if self.seed is None else self.seed + number
        projection = keras.layers.Dense(
            self.embedding_dim,
            use_bias=False,
            kernel_initializer=keras.initializers.GlorotUniform(seed=seed),
            kernel_regularizer=keras.regularizers.L2(trunk.l2) if trunk.l2 else None,
            name=f"{name}_projection",
            dtype="float32",
        )
        return trunk._prepared(keras.Model(inputs, projection(hidden), name=f"{name}_projected"))
