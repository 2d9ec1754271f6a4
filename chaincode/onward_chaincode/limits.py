"""Every bound of the contracts in one table. All of them decide verdicts, so all are consensus.

A contract version keeps its bounds for ever: changing one means a new version.
"""

from __future__ import annotations

# -- sets in payloads ------------------------------------------------------------------------------
# A rule's bound answers E_SIZE; the wire's bound, wider, only protects the decoder (E_FORMAT).
FIELDS_MAX = 256
FIELD_INDEX_MAX = 255
PURPOSES_MAX = 64
JURISDICTIONS_MAX = 64
TAGS_MAX = 16
SET_WIRE_MAX = 1_024

# -- texts -----------------------------------------------------------------------------------------
PARTY_ID_BYTES_MAX = 64
EVENT_NAME_BYTES_MAX = 64
EVENT_PAYLOAD_BYTES_MAX = 16 * 1024
EVENT_READERS_MAX = 64
IRI_BYTES_MAX = 96
ENUM_BYTES_MAX = 32
TAG_BYTES_MAX = 32
LABEL_BYTES_MAX = 64
TITLE_BYTES_MAX = 160
SOURCE_BYTES_MAX = 300

# -- documents -------------------------------------------------------------------------------------
DOCUMENT_BYTES_MAX = 48 * 1024
ROSTER_MAX = 32
RECIPIENT_LIST_MAX = 64

# -- times and amounts -----------------------------------------------------------------------------
TIME_MS_MAX = 2**53 - 1
DURATION_MS_MAX = 100 * 366 * 24 * 3_600_000
PRICE_MINOR_MAX = 2**53 - 1
HOUR_MS = 3_600_000

# -- the domain ------------------------------------------------------------------------------------
DEPTH_MAX = 8
ACCEPTANCES_MAX = 10_000
ONWARD_COUNT_MAX = 1_000_000
REFUSALS_PER_HOUR_MAX = 60
TALLIES_MAX = 16  # kinds of share that an agreement counts at a time
BREACH_AGREEMENTS_MAX = 6  # each has up to ten parties, and an event at most 64 readers

# -- memory (no verdict depends on it) -------------------------------------------------------------
RECORDS_REMEMBERED_BYTES_MAX = 4 * 1024 * 1024
DOCUMENTS_REMEMBERED_MAX = 256

# -- answers ---------------------------------------------------------------------------------------
PAGE_ROWS_DEFAULT = 50
PAGE_ROWS_MAX = 200
VIEW_ROWS_MAX = 500
CHANGES_MAX = 500
ENDING_SOON_MS_DEFAULT = 30 * 24 * 3_600_000
CURSOR_BYTES_MAX = 1_024
