"""Long work that survives any crash: steps with an undo each, a journal, leases with epochs."""

from pileus.foundation.flow.journal import Journal, SqlJournal, flow_tables
from pileus.foundation.flow.model import (
    Cancelled,
    Ended,
    Entry,
    Flow,
    FlowRecord,
    NewFlow,
    StaleEpoch,
    Step,
    StepContext,
    StepRecord,
)  # fmt: skip
from pileus.foundation.flow.runner import Runner

__all__ = [
    "Cancelled", "Ended", "Entry", "Flow", "FlowRecord", "Journal", "NewFlow", "Runner", "SqlJournal", "StaleEpoch",
    "Step", "StepContext", "StepRecord", "flow_tables",
]  # fmt: skip
