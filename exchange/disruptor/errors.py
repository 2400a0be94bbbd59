"""What the pipeline says when it does not do what it was asked.

Every class has `code`, `detail`, `hint`; `str()` is a sentence. `Refused`: nothing was sequenced, the outcome is
"rejected" and asking again later is safe. `OutcomeUnknown`: sequenced, not proven durable. `PipelineFault`: our own
error; the process must end with `exit_code`.
"""

from __future__ import annotations

EXIT_IO = 74
"""EX_IOERR: the disk failed."""
EXIT_SOFTWARE = 70
"""EX_SOFTWARE: the engine met something that must never happen."""


class PipelineError(Exception):
    """The base of what this package raises."""

    code = "pipeline"
    hint = ""

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail


class Refused(PipelineError):
    """The command was not sequenced and never will be."""

    code = "refused"
    hint = "Nothing happened; send it again later."


class RingFull(Refused):
    """The command ring has no slot that this command may take."""

    code = "ring_full"


class Overloaded(Refused):
    """The oldest command that is not on disk has waited too long."""

    code = "overloaded"


class StorageLow(Refused):
    """There is no room on the disk for the next segment."""

    code = "storage_low"
    hint = "Nothing happened. Cancels are still taken; orders are again when the operator has made room on the disk."


class Stopped(Refused):
    """The pipeline is stopping or has stopped."""

    code = "stopped"


class Halted(Refused):
    """The venue stands before a command that its engine can not survive."""

    code = "halted"
    hint = "Nothing happened; reads are answered. Two operators decide about the command that the venue stands before."


class OutcomeUnknown(PipelineError):
    """The command was sequenced and the pipeline stopped before it was proven durable."""

    code = "outcome_unknown"
    hint = "Ask for the order by its client order id after the restart."


class PipelineFault(PipelineError):
    """Our own error: nothing is acknowledged any more and the process must end with `exit_code`."""

    code = "fault"
    hint = "The process must end; the next start recovers what is on disk."

    def __init__(self, detail: str, exit_code: int, *, sequence: int = 0, fault: str = "") -> None:
        super().__init__(detail)
        self.exit_code = exit_code
        self.sequence = sequence
        """Of the command that the engine could not apply; 0: it was not a command."""
        self.fault = fault
