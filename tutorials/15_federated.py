# %% [markdown]
# # Learn together, keep your data
#
# Hospitals, phones and factories may not send their data anywhere. In federated learning they need not: each trains on
# what it has, and sends what that changed in the weights. A server averages the changes. This tutorial
#
# 1. deals data out to 30 clients who each know two of six classes,
# 2. averages what they learn (FedAvg), and holds them together (FedProx),
# 3. starts from a pretrained backbone,
# 4. gives each client a head of its own,
# 5. does without clients that fail, and goes on after a stop,
# 6. clips what a client may change.
#
# All clients are simulated in this process. The data are drawn here, so that it runs anywhere.

# %%
import tempfile
from pathlib import Path

import keras
import numpy as np

import tf_transfer as tft

workplace = Path(tempfile.mkdtemp())
rng = np.random.default_rng(0)
CLASSES, DIM = 6, 16
centers = rng.normal(size=(CLASSES, DIM))


def draw(num, seed, turned=0.0):
    """Returns examples around a center a class; `turned` moves all of them, as another instrument would."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, CLASSES, num)
    return (centers[y] + 1.2 * rng.normal(size=(num, DIM)) + turned).astype("float32"), y


x, y = draw(3000, seed=1)
test = draw(1000, seed=2)


def network():
    inputs = keras.Input((DIM,))
    backbone = keras.Sequential([keras.Input((DIM,)), keras.layers.Dense(32, "relu")], name="backbone")
    model = keras.Model(inputs, keras.layers.Dense(CLASSES, activation="softmax", name="head")(backbone(inputs)))
    model.compile(keras.optimizers.SGD(0.05), "sparse_categorical_crossentropy", metrics=["accuracy"])
    return tft.backbones.reinitialize(model, seed=0)


# %% [markdown]
# ## Clients
#
# `partition_clients` says who gets which examples: alike, in shards of sorted labels (here two a client, so that most
# know two classes), or by a Dirichlet distribution. A client may be arrays, a `tf.data.Dataset`, a folder, or a
# function that returns one of those and is called when its turn comes.

# %%
parts = tft.data.partition_clients(y, 30, "shards", shards_per_client=2, seed=0)
clients = [(x[part], y[part]) for part in parts]
print([np.unique(labels).tolist() for _, labels in clients[:5]])

# %% [markdown]
# ## A server
#
# The compiled loss is what clients minimize, the compiled optimizer is theirs, and begins anew in each round. `fit`
# returns a history with an entry a round: how the clients did while they trained, and how the server's new model does.

# %%
options = {"clients_per_round": 10, "local_epochs": 3, "batch_size": 16, "seed": 0, "verbose": 0}
server = tft.federated.FedAvg(network())
history = server.fit(clients, rounds=15, validation_data=test, **options).history
print("FedAvg:", np.round(history["val_accuracy"], 2))

# %% [markdown]
# A client that knows two classes pulls the model to those two. FedProx holds it near the weights that it was sent; `mu`
# says how much. It trades speed for calm, and pays where clients differ much and train long.

# %%
proximal = tft.federated.FedProx(network(), mu=1.0)
history = proximal.fit(clients, rounds=15, validation_data=test, **options).history
print("FedProx:", np.round(history["val_accuracy"], 2))

# %% [markdown]
# ## A pretrained start
#
# What somebody else learned elsewhere saves rounds. Here a model is trained on public data of another instrument; its
# weights are the server's first ones. Frozen layers would not even be sent.

# %%
public = network()
public.fit(*draw(1000, seed=3, turned=1.5), epochs=10, verbose=0)
pretrained = network()
pretrained.set_weights(public.get_weights())
history = tft.federated.FedAvg(pretrained).fit(clients, rounds=5, validation_data=test, **options).history
print("before:", round(public.evaluate(*test, verbose=0)[1], 2), " after:", np.round(history["val_accuracy"], 2))

# %% [markdown]
# ## A head of one's own
#
# Where clients disagree, one model can't please all. With `personal="head"` the backbone is shared and each client
# keeps its own head, which never leaves it. Here every second client numbers the classes the other way round. Data to
# evaluate on are then a list, one entry a client.

# %%
stubborn = [(x, CLASSES - 1 - y if number % 2 else y) for number, (x, y) in enumerate(clients[:10])]
rounds = {"rounds": 15, "local_epochs": 3, "batch_size": 16, "seed": 0, "verbose": 0}

one_for_all = tft.federated.FedAvg(network())
one_for_all.fit(stubborn, **rounds)
print("one for all:", round(np.mean([one_for_all.evaluate(each)["accuracy"] for each in stubborn]), 2))

each_its_own = tft.federated.FedAvg(network(), personal="head")
each_its_own.fit(stubborn, **rounds)
print("a head each:", round(each_its_own.evaluate(stubborn)["accuracy"], 2))

own = each_its_own.client_model(3)
print("client 3 on its own data:", np.mean(own.predict(stubborn[3][0], verbose=0).argmax(1) == stubborn[3][1]))

# %% [markdown]
# ## Clients that fail, and a run that stops
#
# A client that raises, or sends NaN, is left out of its round with a warning, and counted. With `resume` the state is
# kept after each round: the same call goes on after a stop and ends as it would have.

# %%
import warnings


def gone():
    raise ConnectionError("the battery is empty")


with warnings.catch_warnings(record=True) as said:
    warnings.simplefilter("always")
    server = tft.federated.FedAvg(network())
    history = server.fit([gone, *clients[:3]], rounds=2, seed=0, resume=workplace / "run", verbose=0).history
print("took part:", history["clients"], " dropped out:", history["dropped"])
print(next(str(each.message) for each in said if "goes on" in str(each.message)))

# %% [markdown]
# ## What a client may change
#
# `clip_norm` bounds the update of a client, so that none can take the model over. With `noise_multiplier` and `delta`
# Gaussian noise is added to the sum, and the history reports `epsilon`; that needs `pip install tf-transfer[privacy]`.
# It takes thousands of clients for noise to cost little: see `docs/federated.md`, also on what it does not promise.

# %%
clipped = tft.federated.FedAvg(network(), clip_norm=0.5)
history = clipped.fit(clients, rounds=10, validation_data=test, **options).history
print("clipped:", np.round(history["val_accuracy"], 2))

# %% [markdown]
# The server's model is a plain Keras model: save it, export it, train it on.

# %%
clipped.model.save(workplace / "together.keras")
print(round(tft.load_model(workplace / "together.keras").evaluate(*test, verbose=0)[1], 2))
