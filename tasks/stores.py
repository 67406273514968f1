"""The journal, the vault and the spool of this process, from its settings."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from canary.blocks.opener import CLOCK
from canary.errors import CanaryError
from canary.journal.shelf import FolderShelf
from canary.journal.spool import Spool
from canary.journal.store import open_journal
from canary.journal.vault import open_vault
from canary.rollout.conducting import Stores
from canary.settings import Settings
from canary.tasks.foreign import unforeseen


@asynccontextmanager
async def opened() -> AsyncIterator[Stores]:
    """Open until the end of the block. What waited in the spool is appended first.

    Raises BadUsage for a wrong setting and VaultError for a wrong key; and Unforeseen for what another library raises
    within the block, whose own words no log shall have.
    """
    settings = Settings.from_env(os.environ)
    journal = open_journal(settings.journal_url)
    try:
        spool = Spool(settings.spool)
        shelf = FolderShelf(settings.documents)
        yield Stores(journal, open_vault(journal, settings.home), spool, CLOCK, shelf)
    except CanaryError:
        raise
    except Exception as error:
        raise unforeseen(error) from None
    finally:
        await journal.close()
