"""What this project measured and recommendations rest on: mean accuracies in %, as in docs/ and benchmarks/results/.

`tests/choosing/test_evidence.py` compares each figure with the lines of its benchmark.
"""

# (benchmark, what picks its lines) -> accuracy in %.
MEASURED = {
    ("few_labels", "flowers128", 5, "feature extraction"): 46.0,
    ("few_labels", "flowers128", 5, "L2-SP"): 47.1,
    ("few_labels", "flowers128", 50, "feature extraction"): 64.8,
    ("few_labels", "flowers128", 50, "fine-tuning"): 68.1,
    ("few_labels", "flowers128", 50, "L2-SP"): 68.4,
    ("few_labels", "hymenoptera", 50, "feature extraction"): 87.8,
    ("few_labels", "hymenoptera", 50, "L2-SP"): 88.5,
    ("transfer", "flowers128", "feature extraction"): 66.9,
    ("transfer", "flowers128", "fine-tuned"): 76.4,
    ("digits_adaptation", "usps->mnist", "source only"): 94.6,
    ("digits_adaptation", "usps->mnist", "MCC"): 98.8,
    ("where_adaptation_hurts", "missing", "source only"): 92.0,
    ("where_adaptation_hurts", "missing", "MCC"): 85.9,
    ("where_adaptation_hurts", "missing", "AFN"): 93.0,
}


def measured(*which):
    """Returns a figure of `MEASURED` as text, such as "46.0 %"."""
    return f"{MEASURED[which]:.1f} %"
