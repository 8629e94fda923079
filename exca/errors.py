"""Every error this package raises on purpose.

The tree (a leaf also inherits the builtin a user would catch)::

    ExcaError
    +-- ConfigError
    |   +-- InvalidConfig (ValueError)        a composed configuration does not validate
    |   +-- ConfigSealed (AttributeError)     a field was assigned after the uid was computed
    |   +-- ConfigChanged (RuntimeError)      a value inside a sealed config was changed in place
    |   +-- InfraNotBound (RuntimeError)      an infra was used outside a config
    |   +-- InvalidInfra (ValueError)         infra fields that cannot work together
    +-- IdentityError
    |   +-- UnstableIdentity (TypeError)      a value has no identity that another process would find again
    +-- StoreError
    |   +-- ResultNotFound (LookupError)      mode "read-only" and nothing stored
    |   +-- ResultNotStored (OSError)         computed, but the disk or the value did not allow storing it
    |   +-- CorruptResult (ValueError)        stored bytes cannot be read
    |   +-- UntrustedResult (PermissionError) a pickle that others could have written
    |   +-- UidCollision (RuntimeError)       two configs, one uid folder
    |   +-- DefaultsChanged (RuntimeError)    a default value changed under a stored result
    |   +-- CodeChanged (RuntimeError)        the code changed under a stored result (code_change="error")
    +-- ExecutionError
        +-- JobFailed (RuntimeError)          a job ended without a value
        |   +-- JobCancelled
        |   +-- JobNotStarted                 its queue died first; nothing of it was computed
        +-- RepeatedTasks (ValueError)        one computation twice in a job array
        +-- NotSubmitted (RuntimeError)       a job of a batch that was not submitted yet, or no job
        +-- WrongNumberOfResults (ValueError) a map's method gave more or fewer results than it took items
        +-- SubmissionFailed (OSError)        the scheduler or queue did not take the jobs
            +-- SchedulerRefused              it takes none like these: its own words say why

Messages say what happened, where (field, path, job id) and what to do next.
"""

from __future__ import annotations

from typing import Final

__all__ = [
    "CodeChanged",
    "ConfigChanged",
    "ConfigError",
    "ConfigSealed",
    "CorruptResult",
    "DefaultsChanged",
    "ExcaError",
    "ExecutionError",
    "IdentityError",
    "InfraNotBound",
    "InvalidConfig",
    "InvalidInfra",
    "JobCancelled",
    "JobFailed",
    "JobNotStarted",
    "NotSubmitted",
    "RepeatedTasks",
    "ResultNotFound",
    "ResultNotStored",
    "SchedulerRefused",
    "StoreError",
    "SubmissionFailed",
    "UidCollision",
    "UnstableIdentity",
    "UntrustedResult",
    "WrongNumberOfResults",
]


class ExcaError(Exception):
    """Base of all errors of this package."""


class ConfigError(ExcaError):
    """The configuration, or the way it is used, is wrong."""


class InvalidConfig(ConfigError, ValueError):
    """A composed configuration does not validate; the message lists every problem and its origin."""


class ConfigSealed(ConfigError, AttributeError):
    """A field was assigned after the uid of the config was computed."""


class ConfigChanged(ConfigError, RuntimeError):
    """A value inside a config was changed in place after its uid was computed."""


class InfraNotBound(ConfigError, RuntimeError):
    """An infra that belongs to no config was asked for something only a config can answer."""


class InvalidInfra(ConfigError, ValueError):
    """Infra fields contradict each other, or name something that does not exist here."""


class IdentityError(ExcaError):
    """A computation could not be named."""


class UnstableIdentity(IdentityError, TypeError):
    """A value has no identity that another process would find again (a lambda, an open file)."""


class StoreError(ExcaError):
    """A stored result could not be used."""


class ResultNotFound(StoreError, LookupError):
    """Nothing is stored, and the mode forbids computing."""


class ResultNotStored(StoreError, OSError):
    """A value was computed but could not be stored; it is not lost where it was computed: see `value`.

    Attributes
    ----------
    value: what was computed; None if the error comes from another process, or if nothing was computed.
    """

    _VALUE_IS_HERE: Final = "The value is in this error's `value`."

    def __init__(self, message: str, value: object = None) -> None:
        super().__init__(message)
        self.value = value
        if value is not None:
            self.add_note(self._VALUE_IS_HERE)

    def __reduce__(self) -> tuple[type[ResultNotStored], tuple[object, ...], dict[str, object]]:
        # A value that could not be stored does not travel with its error either, nor does the note that speaks of it.
        notes = [note for note in getattr(self, "__notes__", ()) if note != self._VALUE_IS_HERE]
        return type(self), self.args, {**self.__dict__, "value": None, "__notes__": notes}


class CorruptResult(StoreError, ValueError):
    """What is on disk cannot be read as a result."""


class UntrustedResult(StoreError, PermissionError):
    """A pickle that other users could have written was not loaded."""


class UidCollision(StoreError, RuntimeError):
    """The folder of a uid holds the manifest of another config."""


class DefaultsChanged(StoreError, RuntimeError):
    """A default value changed since the result was stored under the same uid."""


class CodeChanged(StoreError, RuntimeError):
    """The code changed since the result was stored, and ``code_change="error"``."""


class ExecutionError(ExcaError):
    """A computation could not be run to its end."""


class JobFailed(ExecutionError, RuntimeError):
    """A job ended without a value: killed, timed out, or an exception that cannot be rebuilt here."""


class JobCancelled(JobFailed):
    """A job was cancelled before it ended."""


class JobNotStarted(JobFailed):
    """A job whose queue died before it was started: it can be submitted again as if it had never been."""


class NotSubmitted(ExecutionError, RuntimeError):
    """A job of a batch was asked for something before the batch was submitted; or no job was to be cancelled."""


class RepeatedTasks(ExecutionError, ValueError):
    """One computation stands twice in a job array."""


class SubmissionFailed(ExecutionError, OSError):
    """The scheduler or the local queue did not take the jobs."""


class SchedulerRefused(SubmissionFailed):
    """The scheduler takes no such jobs, whatever they compute; or it does not answer."""


class WrongNumberOfResults(ExecutionError, ValueError):
    """The method of a map did not give one result for each item it took."""
