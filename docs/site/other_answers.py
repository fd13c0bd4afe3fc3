"""What the chooser says about data that `tft.recommend` does not look at."""

import typing

DOMAINS = "a labelled source, and a target without labels"


class Answer(typing.NamedTuple):
    """A line of the page.

    Attributes:
        have: String, what there is.
        detail: String, what else decides.
        method: String, the name of the section on the method.
        text: String, why.
        code: String, lines of Python.
        chapter: String, the file of the chapter to read on in.
    """

    have: str
    detail: str
    method: str
    text: str
    code: str
    chapter: str


OTHERS = [
    Answer(
        DOMAINS,
        "and the source data are gone",
        "SHOT",
        "It goes on from the trained model with the target alone, and was near the best on every shift that was "
        "measured. `tft.TENT` does so where the target comes as a stream, `tft.AdaBN` without any gradient.",
        "model = tft.SHOT(encoder, classifier)\nmodel.compile(keras.optimizers.SGD(1e-3, momentum=0.9))\n"
        "model.fit(x_target, epochs=10)\nplain = model.deployable()",
        "adaptation.md",
    ),
    Answer(
        DOMAINS,
        "and numbers to predict",
        "DARE-GRAM",
        "It aligns what a linear regressor sees. Methods that ask how decided a classifier is have no sense here.",
        "pairs = tft.data.pair_domains((x_source, y_source), x_target, batch_size=48, seed=0)\n"
        'model = tft.DAREGRAM(encoder, regressor)\nmodel.compile("adam", "mse")\nmodel.fit(pairs, epochs=20)',
        "regression.md",
    ),
    Answer(
        DOMAINS,
        "and several sources",
        "all sources together",
        "Begin with all of them as one source. Then ask which of them hurt, or let a method tell them apart.",
        "pairs = tft.data.pair_domains([(x_a, y_a), (x_b, y_b)], x_target, batch_size=64, seed=0)\n"
        'model = tft.DANN(encoder, classifier)\nmodel.compile("adam", "sparse_categorical_crossentropy")\n'
        "model.fit(pairs, epochs=20)",
        "several_sources.md",
    ),
    Answer(
        "few labels, and many examples without",
        "and a network that fits them",
        "FixMatch",
        "Its own confident guesses on weakly changed examples teach it on strongly changed ones.",
        "batches = tft.data.pair_labelled((x_few, y_few), x_many, batch_size=64, ratio=7, "
        'weak="standard", strong="cutout")\nmodel = tft.semi_supervised.FixMatch(builder.build())\n'
        'model.compile("adam", "sparse_categorical_crossentropy")\nmodel.fit(batches, epochs=100)',
        "semi_supervised.md",
    ),
    Answer(
        "few labels, and many examples without",
        "and images unlike those of any network",
        "pretraining on your own images",
        "SimCLR learns features from images alone, in hours; then the few labels train a head.",
        "model = tft.pretraining.SimCLR(encoder, seed=0)\nmodel.compile(keras.optimizers.AdamW(1e-3))\n"
        "model.fit(images, epochs=200)\n"
        "classifier = tft.ImageClassifier(num_classes=5, backbone=model.deployable()).build()",
        "self_supervised.md",
    ),
    Answer(
        "few labels, and many examples without",
        "and texts",
        "pretraining on your own texts",
        "An encoder that guessed missing words of many texts needs fewer labels.",
        "encoder = tft.pretrain_text(many_texts, tft.TextEncoder(seed=0))\n"
        "model = tft.TextClassifier(num_classes=2, backbone=encoder).build()\n"
        "tft.fine_tune(model, (few_texts, labels))",
        "text.md",
    ),
    Answer(
        "new classes again and again",
        "from five images or so each",
        "prototypical networks and MAML",
        "Train on episodes of classes that you know, so that new ones are learned from a few images.",
        "episodes = tft.data.episodes(x, y, ways=5, shots=1, seed=0)\n"
        "model = tft.few_shot.PrototypicalNetwork(pretrained)\nmodel.compile(keras.optimizers.Adam(1e-3))\n"
        "model.fit(episodes, epochs=20)\nclassifier = model.adapt(five_images_a_class, labels)",
        "few_shot.md",
    ),
    Answer(
        "a large model that is too slow",
        "and a smaller one to take its place",
        "distillation",
        "The small network learns what the large one says of each example, which is more than the label.",
        "model = tft.Distiller(student, teacher, [tft.losses.KnowledgeDistillation(temperature=4.0)], weight=0.9)\n"
        'model.compile("adam", "sparse_categorical_crossentropy")\nmodel.fit(train, epochs=20)\n'
        "plain = model.deployable()",
        "distillation.md",
    ),
    Answer(
        "data that may not leave where they are",
        "at several clients",
        "federated averaging",
        "Each client trains on its own, and only weights travel.",
        'server = tft.federated.FedAvg(builder.build(), personal="head")\n'
        "server.fit(clients, rounds=50, clients_per_round=10, seed=0)",
        "federated.md",
    ),
    Answer(
        "several labels of each example",
        "some of which may be missing",
        "several tasks on one network",
        "One backbone, a head a task; missing labels count for nothing.",
        'tasks = {"species": tft.ClassificationTask(num_classes=12), "age": tft.RegressionTask()}\n'
        "model = tft.MultiTask(trunk=tft.builders.ImageBuilder(), tasks=tasks).build()",
        "many_tasks.md",
    ),
    Answer(
        "several kinds of input at once",
        "that belong to one example",
        "fusion",
        "A backbone for each, their features side by side under one head.",
        'model = tft.FeatureFusion(num_classes=5, branches={"image": image_builder, "text": text_builder}).build()',
        "fusion.md",
    ),
    Answer(
        "several kinds of input at once",
        "of which one should find the other",
        "one space for both",
        "Two encoders that are trained on pairs; words find pictures, and descriptions make a classifier.",
        'model = tft.DualEncoder(sides={"image": image_builder, "text": text_builder}).build()\n'
        "model.fit(pairs, epochs=10)",
        "images_and_text.md",
    ),
]
