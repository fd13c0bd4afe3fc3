"""What each public object of `tft.pretraining` holds beyond its docstring."""

import keras

import tf_transfer as tft

from contract_parts import check_refuses
from contract_registry import row


@row("pretraining.pretrain_text")
def _(pretrain_text):
    texts = ["a good film", "a bad film"]
    ahead = tft.TextEncoder(vocabulary=["a", "good"], sequence_length=4, dim=4, num_heads=1, num_blocks=1)
    check_refuses(lambda: pretrain_text(texts, ahead, "next"), "does not look ahead", "causal=True")
    check_refuses(lambda: pretrain_text(texts, ahead, "maskd"), "Did you mean 'masked'?")
    check_refuses(lambda: pretrain_text(texts, ahead, epochs=0), "`epochs`", "at least 1")
    check_refuses(lambda: pretrain_text(texts, ahead, resume="run"), "`resume` needs a `seed`")
    check_refuses(lambda: pretrain_text(["a", "b"], ahead), "two words or more")
    check_refuses(lambda: pretrain_text([]), "one text or more")
    stranger = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1, name="only")])
    check_refuses(lambda: pretrain_text(texts, stranger), "`encoder` must be", "['only']")
