"""What a user can act on. Each message is one line: expected, found, where, what to do."""


class MedcnnError(Exception):
    """A mistake or a state that the user can mend; a verb prints it as one line and exits with code 2."""


class ReadError(MedcnnError):
    """A file that could not be read.

    Args:
        code: One of ``medcnn.io.find.REASONS``; the ledger and the audit count by it.
        message: One line that names the file by its name only, never by its path.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code

    def __reduce__(self) -> tuple[type["ReadError"], tuple[str, str]]:
        # An exception with two arguments does not cross a process boundary by itself.
        return type(self), (self.code, str(self))


class ManifestError(MedcnnError):
    """A table of cases that cannot be used as it stands."""


class LeakError(MedcnnError):
    """The same patient or the same pixels stand in two splits."""


class ConfigError(MedcnnError):
    """A configuration whose parts do not fit each other."""


class CheckpointError(MedcnnError):
    """A model file that is not one of ours, is damaged, or asks for code outside the allow-list."""


class TrackingError(MedcnnError):
    """A run, a model or a store that MLflow does not have or does not answer for."""


class ReportError(MedcnnError):
    """A table of predictions that cannot be judged as it stands, or two runs that cannot be compared."""
