from __future__ import annotations

from tests.support.log_judge import judge_folder

__all__ = ["judge_folder"]
