"""What services call when something dies of an error that nobody expected."""

from dataclasses import dataclass, field


def never(error: BaseException) -> None:
    """It is not called in this test."""
    raise AssertionError("something died of an unexpected error") from error


@dataclass
class Failures:
    """Keeps the errors of which the process would end."""

    errors: list[BaseException] = field(default_factory=list)

    def __call__(self, error: BaseException) -> None:
        self.errors.append(error)
