"""The one kind of error that is shown to a person as a single line."""


class DropnasError(Exception):
    """A mistake that a person can mend: what happened, where, and how to mend it.

    The command line prints it as one line and exits with status 1; no traceback is shown.
    """

    def __init__(self, what: str, *, where: object = "", remedy: str = "") -> None:
        self.what, self.where, self.remedy = what, str(where), remedy
        parts = [f"{self.where}: {what}" if self.where else what, remedy]
        super().__init__("; ".join(" ".join(part.split()) for part in parts if part))


def not_finite(what: str, where: str) -> DropnasError:
    """A number of a training that is infinite or none."""
    return DropnasError(f"{what} is not finite", where=where, remedy="try a smaller learning rate, or precision fp32")
