"""Trains MAML of `learn2learn` on a job written by `few_shot_speed.py`; runs where `learn2learn` is installed.

    python with_learn2learn.py JOB.npz

The job has support, support_labels, query and query_labels, arrays with leading axes (batches, tasks), and the text
`options`, JSON with ways, first_order, inner_learning_rate, inner_steps and rounds. Prints one line of JSON: tasks a
second of CPU in each round, losses of the first round, and the number of parameters.
"""

import importlib
import json
import sys
import time
import types
from importlib import util
from pathlib import Path

import numpy as np
import torch


def bare(*names):
    """Lets modules of packages be imported without what their packages import, gym and torchvision among it."""
    for name in names:
        parent, _, last = name.rpartition(".")
        places = sys.modules[parent].__path__ if parent else util.find_spec(name).submodule_search_locations
        module = sys.modules[name] = types.ModuleType(name)
        module.__path__ = [str(Path(place) / last) if parent else place for place in places]


def learner(options):
    """Returns the method around four convolutions with stride 2 and 64 filters, a mean over space, a dense layer."""
    bare("learn2learn", "learn2learn.algorithms", "learn2learn.vision", "learn2learn.vision.models")
    importlib.import_module("learn2learn.nn")
    network = importlib.import_module("learn2learn.vision.models.cnn4").OmniglotCNN(options["ways"], 64, 4)
    method = importlib.import_module("learn2learn.algorithms.maml").MAML
    return method(network, options["inner_learning_rate"], first_order=options["first_order"])


def train(model, optimizer, batch, options):
    """Makes one step on a batch of tasks, as the examples of `learn2learn` do, and returns the mean loss."""
    total = 0.0
    optimizer.zero_grad()
    for support, support_labels, query, query_labels in zip(*batch, strict=True):
        adapted = model.clone()
        for _ in range(options["inner_steps"]):
            adapted.adapt(torch.nn.functional.cross_entropy(adapted(support), support_labels))
        loss = torch.nn.functional.cross_entropy(adapted(query), query_labels)
        loss.backward()
        total += loss.item()
    for parameter in model.parameters():
        parameter.grad.data.mul_(1.0 / len(batch[0]))
    optimizer.step()
    return total / len(batch[0])


def run(job):
    torch.set_num_threads(1)
    torch.manual_seed(0)
    options = json.loads(str(job["options"]))
    model = learner(options)
    optimizer = torch.optim.Adam(model.parameters(), 1e-3)
    names = ("support", "support_labels", "query", "query_labels")
    parts = [torch.from_numpy(job[name]) for name in names]
    # Channels first, and labels as it wants them.
    parts = [part.permute(0, 1, 2, 5, 3, 4).contiguous() if part.ndim == 6 else part.long() for part in parts]
    batches = list(zip(*parts, strict=True))
    losses, rates = [train(model, optimizer, batch, options) for batch in batches], []
    for _ in range(options["rounds"]):
        start = time.process_time()
        for batch in batches:
            train(model, optimizer, batch, options)
        rates.append(len(batches) * len(batches[0][0]) / (time.process_time() - start))
    number = sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
    return {"rates": rates, "losses": losses, "parameters": number, "torch": torch.__version__}


if __name__ == "__main__":
    print("RESULT " + json.dumps(run(np.load(sys.argv[1]))))
