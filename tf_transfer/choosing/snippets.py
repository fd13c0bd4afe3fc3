"""The lines of Python that do what is recommended, for people to take along."""

_DATA = {
    "images": "data",
    "texts": "data",
    "rows": "(builder.inputs(table), labels)",
    "recordings": "data",
}


def train_code(method, phases, examples, balanced=True):
    """Returns the lines that train a builder's model by a method on labelled examples."""
    if method == "prototypes":
        return (
            "network = tft.few_shot.PrototypicalNetwork(builder.build())\n"
            "model = network.adapt(x, y)                   # arrays of images, and their classes"
        )
    options = [f"{name}={value!r}" for name, value in phases.items()]
    if not balanced:
        options.append('class_weight="balanced"')
    return f"model = builder.build()\nhistory = tft.fine_tune(model, {_DATA[examples.kind]}, {', '.join(options)})"


def two_stage_code(examples, related):
    """Returns the lines that train on a related set first."""
    other = examples.num_classes != related.num_classes
    lines = ["model = tft.two_stage(builder, source, data).model"]
    if other:
        lines = [
            f"related = dataclasses.replace(builder, num_classes={related.num_classes}, class_names=None)",
            "model = tft.two_stage(builder, source, data, source_builder=related).model",
        ]
    return "\n".join(lines)


def adapt_code(config):
    """Returns the lines that adapt a builder's method to a target without labels."""
    epochs, batch_size = ("20", "32") if config is None else (config.epochs, config.batch_size)
    return (
        f"method = builder.build()\n"
        f"pairs = tft.data.pair_domains(source, target, batch_size={batch_size})\n"
        f"method.fit(builder.augment(pairs), epochs={epochs})\n"
        f"model = method.deployable()"
    )
