"""The journal's Postgres seen from outside: each line is told as it is committed, and an append can be held up.

A trigger tells the line's name (pg_notify reaches listeners when the transaction is committed), and waits, where it is
told to, for a lock that this process has: then the line is written and not committed.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

import asyncpg  # type: ignore[import-untyped]

KEY = 7_700_000
"""Advisory locks from here on, one for each rollout of a round."""
LOOK_EVERY = 0.03
SET_UP = """
CREATE TABLE chaos_armed (rollout text, name text, nth int, key int);
CREATE FUNCTION chaos_name(type text, data text) RETURNS text LANGUAGE sql AS $$
    SELECT CASE WHEN type LIKE 'exposure\\_%' AND (data::json->>'share') IS NOT NULL THEN
        type || CASE WHEN (data::json->>'share')::float > 0 THEN ':up' ELSE ':down' END ELSE type END $$;
CREATE FUNCTION chaos_nth(wanted text, name text, until int) RETURNS int LANGUAGE sql AS $$
    SELECT count(*)::int FROM canary_events e
    WHERE e.rollout = wanted AND e.seq <= until AND e.type = split_part(name, ':', 1)
    AND chaos_name(e.type, e.data) = name $$;
CREATE FUNCTION chaos_wait() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE wanted int; line text := chaos_name(NEW.type, NEW.data);
BEGIN
    SELECT key INTO wanted FROM chaos_armed a WHERE a.rollout = NEW.rollout AND a.name = line
        AND a.nth = chaos_nth(NEW.rollout, line, NEW.seq) + 1;
    IF FOUND THEN
        PERFORM pg_advisory_lock_shared(wanted);
        PERFORM pg_advisory_unlock_shared(wanted);
    END IF;
    RETURN NEW;
END $$;
CREATE FUNCTION chaos_tell() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE line text := chaos_name(NEW.type, NEW.data);
BEGIN
    PERFORM pg_notify('chaos', json_build_object('rollout', NEW.rollout, 'name', line, 'seq', NEW.seq,
        'nth', chaos_nth(NEW.rollout, line, NEW.seq), 'holder', CASE WHEN NEW.type = 'conductor_took'
        THEN NEW.data::json->>'holder' END)::text);
    RETURN NULL;
END $$;
CREATE TRIGGER chaos_wait BEFORE INSERT ON canary_events FOR EACH ROW EXECUTE FUNCTION chaos_wait();
CREATE TRIGGER chaos_tell AFTER INSERT ON canary_events FOR EACH ROW EXECUTE FUNCTION chaos_tell();
"""
ARM = "INSERT INTO chaos_armed VALUES ($1, $2, chaos_nth($1, $2, 2147483647) + $3, $4)"
T = TypeVar("T")


@dataclass
class Wire:
    """`told` gets each line's JSON. Both connections come back by themselves when Postgres does."""

    url: str
    told: Callable[[str], None]

    async def set_up(self) -> None:
        connection = await asyncpg.connect(self.url)
        await connection.execute(SET_UP)
        await connection.close()

    async def listen(self) -> None:
        """For ever."""
        while True:
            with contextlib.suppress(OSError, asyncpg.PostgresError, asyncpg.InterfaceError, TimeoutError):
                connection = await asyncpg.connect(self.url, timeout=2)
                try:
                    await connection.add_listener("chaos", lambda *event: self.told(event[3]))
                    while not connection.is_closed():
                        await connection.fetchval("SELECT 1", timeout=70)
                        await asyncio.sleep(1.0)
                finally:
                    connection.terminate()
            await asyncio.sleep(0.2)

    async def hold(self, rollout: str, name: str, nth: int, number: int, held: Callable[[], Awaitable[T]]) -> T:
        """Waits until that line is about to be appended, the nth from now, calls `held`, and lets the append go on."""
        connection = await asyncpg.connect(self.url, timeout=10)
        key = KEY + number
        try:
            await connection.execute("SELECT pg_advisory_lock($1)", key)
            await connection.execute(ARM, rollout, name, nth, key)
            waits = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted AND objid = $1::int::oid"
            while not await connection.fetchval(waits, key):  # noqa: ASYNC110 - Postgres tells nobody who waits
                await asyncio.sleep(LOOK_EVERY)
            return await held()
        finally:
            with contextlib.suppress(OSError, asyncpg.PostgresError, asyncpg.InterfaceError, TimeoutError):
                await connection.execute("DELETE FROM chaos_armed WHERE key = $1", key, timeout=2)
            connection.terminate()
