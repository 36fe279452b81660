"""The one kind of error that is shown to the user as a single line."""


class DropnasError(Exception):
    """An error that the user can correct: what happened, where, and the remedy.

    The command line prints it as one line and exits with status 1, without a traceback.
    """

    def __init__(self, what: str, *, where: object = "", remedy: str = "") -> None:
        self.what, self.where, self.remedy = what, str(where), remedy
        parts = [f"{self.where}: {what}" if self.where else what, remedy]
        super().__init__("; ".join(" ".join(part.split()) for part in parts if part))


def not_finite(what: str, where: str) -> DropnasError:
    """Return the error to raise when a number in a training is infinite or NaN."""
    return DropnasError(f"{what} is not finite", where=where, remedy="try a smaller learning rate, or precision fp32")
