"""The words on the flags of `tf-transfer tune`, see `config_flags`."""

from tf_transfer.cli import train_flags
from tf_transfer.cli.shared_flags import words

GROUPS = {
    "search": (
        "what is varied, and how; all other flags say what the trials have in common",
        {
            "space": (
                "FILE", "YAML file of what to vary, a line each, such as `dropout: {float: [0, 0.5]}` or `backbone: "
                "{choice: [mobilenet_v2, resnet50]}` (default: the head, the rates, and how much is unfrozen)",
            ),
            "tuner": ("NAME", "bayesian, random, grid, or hyperband: many short trials, few long ones"),
            "max_trials": ("N", "how many trials (default: 20; one sweep of hyperband; all of a grid)"),
            "objective": ("METRIC", "what to score trials by, on the validation images"),
            "output": ("DIR", "folder of the search; when it is there, the search goes on where it was"),
            "overwrite": (None, "begin anew where there is a search"),
            "tensorboard": ("DIR", "write the trials for TensorBoard's HParams (default: none)"),
        },
    ),
    **train_flags.GROUPS,
}  # fmt: skip
_TITLE, _RESULT = GROUPS["result"]
GROUPS["result"] = (_TITLE, {name: words for name, words in _RESULT.items() if name not in GROUPS["search"][1]})
_TITLE, _TRAINING = GROUPS["training"]
GROUPS["training"] = (
    _TITLE,
    {**_TRAINING, "strategy": words("strategy", ", each trial; or one_device, tpu (default: none)")},
)
