"""Bring the tables up to date: the numbered files of `schema/`, each in one transaction, in order."""

from __future__ import annotations

from contextlib import closing
from importlib import resources
from pathlib import Path

from pysqlite3 import dbapi2

from gatepost.store.failures import StoreFailed, translated
from gatepost.store.gist import folded

APPLICATION_ID = 0x47504F53
"""Marks the file as ours."""


def migrate(connection: dbapi2.Connection) -> int:
    """Apply what is missing and return the version reached. The caller holds the writers' turn.

    Raises StoreFailed when the file belongs to a newer program or to something else.
    """
    scripts = schema()
    newest = scripts[-1][0]
    found = ours(connection, newest)
    connection.create_function("folded", 1, folded, deterministic=True)
    for number, script in scripts:
        if number > found:
            apply(connection, number, script)
    return newest


def ours(connection: dbapi2.Connection, newest: int) -> int:
    """The version found, when it is one that this program can bring up to `newest`. Raises StoreFailed."""
    (found,) = connection.execute("PRAGMA user_version").fetchone()
    (owner,) = connection.execute("PRAGMA application_id").fetchone()
    if owner not in (0, APPLICATION_ID) or (owner == 0 and found):
        raise StoreFailed("the database file belongs to another program")
    if found > newest:
        raise StoreFailed(
            f"the database has schema {found} and this program knows up to {newest}: "
            "it was written by a newer Gatepost; upgrade, or restore a backup made before"
        )
    return int(found)


def insist_on_ours(path: Path) -> None:
    """Say so before anything is started when a database cannot be used; changes nothing. Raises StoreFailed."""
    if not path.exists():
        return
    with translated(), closing(dbapi2.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as connection:
        ours(connection, schema()[-1][0])


def apply(connection: dbapi2.Connection, number: int, script: str) -> None:
    """One script and the version it makes, together or not at all."""
    try:
        connection.executescript(
            f"BEGIN IMMEDIATE;\n{script}\n"
            f"PRAGMA application_id = {APPLICATION_ID};\nPRAGMA user_version = {number};\nCOMMIT;"
        )
    except BaseException:
        if connection.in_transaction:
            connection.rollback()
        raise


def schema() -> list[tuple[int, str]]:
    """The scripts with their numbers, in order."""
    folder = resources.files("gatepost.store") / "schema"
    found = [file for file in folder.iterdir() if file.name.endswith(".sql")]
    return sorted((int(file.name.partition("_")[0]), file.read_text(encoding="utf-8")) for file in found)
