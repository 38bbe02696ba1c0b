"""A PostgreSQL server of the tests' own, on a socket in a folder: no port, no password, gone afterwards."""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Self

import pytest


class Postgres:
    """The newest server that Debian has installed."""

    def __init__(self, folder: Path | None = None) -> None:
        """Its data lies in a new folder within `folder`, or within the machine's one for temporary files."""
        found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
        if not found:
            pytest.skip("postgresql is not installed")
        self._bin = found[-1].parent
        # The server refuses to run as root.
        self._user = "postgres" if os.geteuid() == 0 else ""
        self._folder = Path(tempfile.mkdtemp(prefix="pg-", dir=folder))
        self.url = f"postgresql://postgres@/postgres?host={self._folder}"

    def _run(self, program: str, *words: str) -> None:
        inside = ["runuser", "-u", self._user, "--"] if self._user else []
        subprocess.run([*inside, self._bin / program, *words], check=True, capture_output=True, cwd="/")

    def __enter__(self) -> Self:
        data = str(self._folder / "data")
        if self._user:
            shutil.chown(self._folder, self._user)
        self._run("initdb", "-D", data, "-U", "postgres", "-A", "trust", "--no-sync", "--locale=C.UTF-8")
        options = f"-k {self._folder} -c listen_addresses='' -c max_connections=60"
        self._run("pg_ctl", "-D", data, "-w", "-l", str(self._folder / "log"), "-o", options, "start")
        return self

    def stop(self, mode: str = "immediate") -> None:
        """As a power cut, unless told otherwise."""
        self._run("pg_ctl", "-D", str(self._folder / "data"), "-w", "-m", mode, "stop")

    def start(self) -> None:
        """Again."""
        options = f"-k {self._folder} -c listen_addresses='' -c max_connections=60"
        self._run(
            "pg_ctl",
            "-D",
            str(self._folder / "data"),
            "-w",
            "-l",
            str(self._folder / "log"),
            "-o",
            options,
            "start",
        )

    def pgbench(self, clients: int, seconds: int) -> float:
        """Transactions a second of `pgbench -N`: a reference for what this server can do."""
        words = ["-h", str(self._folder), "-U", "postgres"]
        inside = ["runuser", "-u", self._user, "--"] if self._user else []
        subprocess.run(
            [*inside, self._bin / "pgbench", *words, "-i", "-q", "postgres"],
            check=True,
            capture_output=True,
            cwd="/",
        )
        ran = subprocess.run(
            [
                *inside,
                self._bin / "pgbench",
                *words,
                "-N",
                "-c",
                str(clients),
                "-T",
                str(seconds),
                "postgres",
            ],
            check=True,
            capture_output=True,
            text=True,
            cwd="/",
        )
        line = next(line for line in ran.stdout.splitlines() if line.startswith("tps"))
        return float(line.split()[2])

    def fresh(self, schema: str) -> str:
        """A URL of an empty schema."""
        import psycopg

        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(f'DROP SCHEMA IF EXISTS "{schema}" CASCADE'.encode())
            connection.execute(f'CREATE SCHEMA "{schema}"'.encode())
        return f"{self.url}&options=-csearch_path%3D{schema}"

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        try:
            self.stop()
        finally:
            shutil.rmtree(self._folder, ignore_errors=True)
