"""What to do with some data: a recommendation with its reasons, and a search that tries what is likely."""

from tf_transfer.choosing.auto import auto
from tf_transfer.choosing.auto_result import AutoResult
from tf_transfer.choosing.budget import Budget
from tf_transfer.choosing.recommend import recommend
from tf_transfer.choosing.recommendation import Recommendation
from tf_transfer.choosing.trials import Trial

__all__ = ["AutoResult", "Budget", "Recommendation", "Trial", "auto", "recommend"]
