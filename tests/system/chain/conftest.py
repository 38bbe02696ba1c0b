"""The databases of the ledger's tests, for those of the gateway."""

from tests.system.ledger.conftest import fresh, postgres

__all__ = ["fresh", "postgres"]
