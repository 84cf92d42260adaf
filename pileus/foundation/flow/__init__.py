"""Long work that survives any crash: steps with an undo each, a journal, leases with epochs.

`journal.py` keeps the journal in a database and is for those who have one; a host uses `remote.py`.
"""

from pileus.foundation.flow.model import (
    Cancelled,
    Ended,
    Entry,
    Flow,
    FlowRecord,
    Journal,
    NewFlow,
    StaleEpoch,
    Step,
    StepContext,
    StepRecord,
)
from pileus.foundation.flow.runner import Runner

__all__ = [
    "Cancelled",
    "Ended",
    "Entry",
    "Flow",
    "FlowRecord",
    "Journal",
    "NewFlow",
    "Runner",
    "StaleEpoch",
    "Step",
    "StepContext",
    "StepRecord",
]
