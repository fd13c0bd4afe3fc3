"""Files, arrays and streams become batches of examples; augmentation happens on the way."""

from tf_transfer.data.audio_augmentation import audio_recipe_names, augment_audio
from tf_transfer.data.audio_files import BadRecording, decode_audio
from tf_transfer.data.audio_folder import AudioFolder
from tf_transfer.data.augmentation import augment, preview
from tf_transfer.data.class_folder import ClassFolder
from tf_transfer.data.class_splits import check_disjoint, split_classes
from tf_transfer.data.client_partitions import partition_clients
from tf_transfer.data.decoding import decode_image
from tf_transfer.data.episodes import episodes
from tf_transfer.data.fingerprints import StreamFingerprint, fingerprint
from tf_transfer.data.image_files import BadImage, image_files
from tf_transfer.data.image_folder import ImageFolder
from tf_transfer.data.labelled_pairs import pair_labelled
from tf_transfer.data.labels import balanced_class_weight, check_labels, match_labels
from tf_transfer.data.pairing import pair_domains
from tf_transfer.data.recipes import mixes_labels, recipe_names
from tf_transfer.data.splitting import folds, hold_out
from tf_transfer.data.streams import as_dataset
from tf_transfer.data.table_alignment import AlignedTables, align_tables
from tf_transfer.data.table_columns import column_kinds, table_columns
from tf_transfer.data.tables import Table, read_table
from tf_transfer.data.task_mixing import mix_tasks
from tf_transfer.data.text_files import LabelledText, read_text
from tf_transfer.data.unlabeled_images import UnlabeledImages
from tf_transfer.data.word_vectors import WordVectors, read_word_vectors

__all__ = [
    "AlignedTables",
    "AudioFolder",
    "BadImage",
    "BadRecording",
    "ClassFolder",
    "ImageFolder",
    "LabelledText",
    "StreamFingerprint",
    "Table",
    "UnlabeledImages",
    "WordVectors",
    "align_tables",
    "as_dataset",
    "audio_recipe_names",
    "augment",
    "augment_audio",
    "balanced_class_weight",
    "check_disjoint",
    "check_labels",
    "column_kinds",
    "decode_audio",
    "decode_image",
    "episodes",
    "fingerprint",
    "folds",
    "hold_out",
    "image_files",
    "match_labels",
    "mix_tasks",
    "mixes_labels",
    "pair_domains",
    "pair_labelled",
    "partition_clients",
    "preview",
    "read_table",
    "read_text",
    "read_word_vectors",
    "recipe_names",
    "split_classes",
    "table_columns",
]
