# %% [markdown]
# # From one hospital to the next: tables
#
# A hospital has many patients with a diagnosis, another one twenty. The second asks for the same things, and for a few
# others; some it never measures. This tutorial
#
# 1. reads both tables from files, and says what it takes each column for,
# 2. sets their columns side by side,
# 3. trains a network on the first and carries it over to the second,
# 4. saves it as a model that takes raw rows, with gaps and all.
#
# The patients are made up here, so that it runs anywhere.

# %%
import dataclasses
import tempfile
from pathlib import Path

import numpy as np
import tensorflow as tf

import tf_transfer as tft

workplace = Path(tempfile.mkdtemp())

# %% [markdown]
# ## Two files
#
# Age, blood pressure, the kind of pain and a note decide, in both hospitals alike. The second measures blood pressure
# in kilopascals, sees older people, and knows a kind of pain that the first does not. What is missing is a "?".

# %%
PAINS = ["none", "typical", "atypical", "silent"]
NOTES = ["walked in by himself this morning", "brought in with short breath", "short breath for some days now"]


def write_patients(path, num_patients, seed, mean_age, second=False):
    rng = np.random.default_rng(seed)
    age = rng.normal(mean_age, 9, num_patients).round()
    pressure = rng.normal(130, 18, num_patients).round()
    pain = rng.choice(PAINS[: 3 + second], num_patients)
    note = rng.choice(NOTES, num_patients)
    risk = 0.08 * (age - 60) + 0.04 * (pressure - 130) + 1.5 * (pain == "typical")
    risk += 1.2 * np.array(["short breath" in each for each in note]) - 1.0
    sick = np.where(rng.uniform(size=num_patients) < 1 / (1 + np.exp(-2 * risk)), "yes", "no")
    pressures = [f"{0.133322 * each:.2f}" if second else f"{each:.0f}" for each in pressure]
    lines = ["age,pressure,pain,note,ward,sick" if second else "id,age,pressure,pain,note,sick"]
    for i in range(num_patients):
        pressures[i] = "?" if rng.uniform() < 0.1 else pressures[i]
        known = f"{age[i]:.0f},{pressures[i]},{pain[i]},{note[i]} {i}"
        lines.append(f"{known},{'ABC'[i % 3]},{sick[i]}" if second else f"p{i},{known},{sick[i]}")
    Path(path).write_text("\n".join(lines) + "\n", encoding="utf-8")


write_patients(workplace / "first.csv", 800, 0, mean_age=55)
write_patients(workplace / "second.csv", 220, 1, mean_age=66, second=True)

# %% [markdown]
# `read_table` says what it found. Look at it: a column of codes such as 1 to 4 looks like numbers, and
# `kinds={"stage": "category"}` tells it better. `id` names the patient, so it is left out.

# %%
source = tft.data.read_table(workplace / "first.csv", target="sick")
target = tft.data.read_table(workplace / "second.csv", target="sick", class_names=source.class_names)

# %% [markdown]
# ## Side by side
#
# Columns go by their names. What only one of the tables has is said, and left out.

# %%
aligned = tft.data.align_tables(source, target)
few, test = np.arange(20), np.arange(20, 220)


def rows_of(table, rows):
    return {name: values[rows] for name, values in table.items()}


# %% [markdown]
# ## A network on the first hospital
#
# `adapt` reads off the source what the model has to know: means and deviations, the values of categories, the words of
# notes. It is plain data in the builder, and it goes into the graph.

# %%
kinds = {name: kind for name, kind in source.kinds.items() if name in aligned.source}
builder = tft.TabularClassifier(
    columns=kinds, num_classes=2, class_names=source.class_names, hidden_units=(16,), l2=1e-3, max_tokens=50, seed=0
)
builder = builder.adapt(aligned.source, source.y)
print(builder.columns["pain"])
model = builder.build()
model.fit(builder.inputs(aligned.source), source.y, epochs=25, verbose=0)


def accuracy(of, using=builder):
    x = using.inputs(rows_of(aligned.target, test))
    return of.evaluate(x, target.y[test], return_dict=True, verbose=0)["accuracy"]


print(f"on the second hospital: {accuracy(model):.2f}")

# %% [markdown]
# ## Whose scale?
#
# Blood pressure of the second hospital is in another unit, so every patient seems to have none. Standardized by its own
# mean and deviation, it says again what it said to the network. But that is right for this column only: standardized by
# itself, the age of these older people becomes average, and their risk with it. Where you know the unit, convert it;
# then both hospitals are on the scale of the source, and what differs between them stays.

# %%
own_scale = builder.for_target(model, rows_of(aligned.target, few), scaler="target")
print(f"all columns on the scale of the target's 20 rows: {accuracy(own_scale):.2f}")
aligned.target["pressure"] = aligned.target["pressure"] / 0.133322
print(f"blood pressure converted, the scale of the source: {accuracy(model):.2f}")

# %% [markdown]
# ## Twenty labels
#
# `for_target` is a copy of the source's model in which chosen parts train, held near the source.

# %%
sparing = dataclasses.replace(builder, target_parts=["weights", "bias"], learning_rate=3e-3)
of_target = sparing.for_target(model)
x_few, y_few = builder.inputs(rows_of(aligned.target, few)), target.y[few]
of_target.fit(x_few, y_few, epochs=40, callbacks=[sparing.target_regularizer.callback(of_target)], verbose=0)
print(f"own head, near the source: {accuracy(of_target):.2f}")

# %% [markdown]
# Or both stages in one call: SGD with Nesterov momentum on the source, then a new head at ten times the rate of the
# feature map on the target. It is what you take when the target has other classes.

# %%
result = tft.two_stage(
    builder,
    source=(builder.inputs(aligned.source), source.y),
    target=(x_few, y_few),
    source_epochs=15,
    source_rate=0.05,
    epochs=40,
    learning_rate=0.003,
    validation_split=0.0,
    seed=0,
    verbose=0,
)
print(f"two stages: {accuracy(result.model):.2f}", [phase.name for phase in result.history.phases])
scratch = dataclasses.replace(builder, columns=kinds).adapt(rows_of(aligned.target, few), y_few)
alone = scratch.build()
alone.fit(scratch.inputs(rows_of(aligned.target, few)), y_few, epochs=100, verbose=0)
print(f"the 20 rows alone: {accuracy(alone, scratch):.2f}")

# %% [markdown]
# ## Raw rows in
#
# What is exported takes rows as they are, with NaN and "" for what is missing, and answers with the names of the
# classes. `of_target.save("of_target.keras")` opens where this package is not installed.

# %%
folder = tft.export(of_target, workplace / "heart", class_names=source.class_names, examples=x_few)
served = tf.saved_model.load(folder).signatures["serving_default"]
patients = {"age": [[71.0], [float("nan")]], "pressure": [[150.0], [118.0]], "pain": [["typical"], [""]]}
patients["note"] = [["short breath since the morning"], ["walked in"]]
answer = served(**{name: tf.constant(values) for name, values in patients.items()})
for label, scores in zip(answer["labels"].numpy(), answer["scores"].numpy()):
    print(label.decode(), scores.round(2))
