"""Every bound in one table. A bound has a test at its value and one above it.

Sizes in bytes, times in milliseconds, unless the name says otherwise. The ones marked *consensus*
decide what is valid: all replicas of a network must hold the same value, so changing one is a hard
fork.
"""

from __future__ import annotations

# -- transactions (consensus) ----------------------------------------------------------------------
BODY_BYTES_MAX = 96 * 1024
PAYLOAD_BYTES_MAX = 80 * 1024
ENVELOPE_BODIES_MAX = 64
ENVELOPE_KEYS_MAX = 8
ENVELOPE_BYTES_MAX = 192 * 1024
COSIGNERS_MAX = 7
PARTY_ID_BYTES_MAX = 64
CONTRACT_NAME_BYTES_MAX = 32
TYPE_NAME_BYTES_MAX = 48
SALT_BYTES = 16
VALIDITY_MS_MAX = 7 * 24 * 3600 * 1000

# -- batches and blocks (consensus) ----------------------------------------------------------------
BATCH_BYTES_MAX = 256 * 1024
BATCH_ENVELOPES_MAX = 1_000
BATCH_BODIES_MAX = 1_000
BLOCK_BYTES_MAX = 1024 * 1024
BLOCK_BODIES_MAX = 2_000
LANE_BATCHES_PER_BLOCK_MAX = 16
LANE_AHEAD_OF_EXECUTED_MAX = 2 * LANE_BATCHES_PER_BLOCK_MAX
EXECUTION_LAG_BLOCKS_MAX = 16
VALIDATORS_MAX = 25
READY_BLOCKS_MAX = 1_000  # how old a result may be that shows a newcomer to be ready
CODE_BYTES_MAX = 48

# -- contract execution (consensus) ----------------------------------------------------------------
STATE_KEY_BYTES_MAX = 512
STATE_VALUE_BYTES_MAX = 128 * 1024
EVENT_NAME_BYTES_MAX = 64
EVENT_PAYLOAD_BYTES_MAX = 16 * 1024
EVENT_READERS_MAX = 64
WRITES_PER_BODY_MAX = 512
WRITTEN_BYTES_PER_BODY_MAX = 1024 * 1024
SCAN_ROWS_MAX = 1_000

# -- the lanes and the mempool ---------------------------------------------------------------------
SEAL_BYTES_TARGET = 64 * 1024
SEAL_BYTES_MAX = 200 * 1024
BATCH_ENVELOPE_OVERHEAD_BYTES = 8
SEAL_AGE_MS_MAX = 5
SEAL_AGE_PENDING_MS = 60  # for each earlier batch of the lane that waits for its block
MEMPOOL_BYTES_MAX = 16 * 1024 * 1024
MEMPOOL_ENVELOPES_MAX = 50_000
PACE_MS_PER_BODY = 3  # how much longer a leader waits for each body that it could order
PACE_MS_MAX = 90
ACK_LINGER_MS_MAX = 3
ACK_LINGER_BUSY_MS_MAX = 30  # acknowledgements ride with votes if any leave until then
CHECKPOINT_LINGER_MS_MAX = 50  # and so do signatures of results

# -- consensus messages ----------------------------------------------------------------------------
VIEW_WINDOW = 64
PACKET_CERTIFICATES_MAX = 64
PACKET_BLOCKS_MAX = 8
PACKET_VOTES_MAX = 3 * VIEW_WINDOW
PACKET_CHECKPOINTS_MAX = 64
BLOCK_RECORD_CERTIFICATES_MAX = 64
BLOCK_RECORD_BYTES_MAX = 128 * 1024
EVIDENCE_PER_SIGNER_MAX = 8  # one piece is enough; the others tell how often
FETCH_DIGESTS_MAX = 64
FETCH_RETRY_MS = 300
FETCH_DELAY_MS = 50
FETCH_OUTSTANDING_MAX = 4_096
CHECKPOINT_HEIGHTS_KEPT = 64
CHECKPOINT_RESEND_MS = 500
CHECKPOINT_RESEND_MS_MAX = 16_000  # of an ended epoch's last result
LANE_RESEND_MS = 1_000
LANE_RESEND_MS_MAX = 16_000
EXECUTION_QUEUE_BLOCKS_MAX = 128
CHAIN_PAGE_BLOCKS_MAX = 64
CHAIN_PAGE_LINKS_MAX = 1_024
CHAIN_PAGE_BYTES_MAX = 2 * 1024 * 1024
CATCH_UP_RETRY_MS = 1_000
NEAR_REPAIR_HEIGHTS_MAX = 32
REVALIDATE_MS = 50
LANE_WANTED_HEADS_MAX = 1_024
JOURNAL_SEGMENT_BYTES_MAX = 8 * 1024 * 1024

# -- the disk --------------------------------------------------------------------------------------
FRAME_BYTES_MAX = 32 * 1024 * 1024
DISK_GROUP_BYTES_MAX = 4 * 1024 * 1024
DISK_PENDING_BYTES_MAX = 64 * 1024 * 1024
BATCH_SEGMENT_BYTES_MAX = 64 * 1024 * 1024
PAGE_SEGMENT_BYTES_MAX = 32 * 1024 * 1024
PAGE_TABLES_CACHED_BYTES_MAX = 8 * 1024 * 1024
PAGE_PLACES_CACHED_MAX = 16_384
STORE_STAGED_BATCHES_MAX = 64
STORE_STAGED_BYTES_MAX = 64 * 1024 * 1024
STORE_WRITE_BUFFER_BYTES = 64 * 1024 * 1024
STORE_FILE_BYTES = 32 * 1024 * 1024  # LevelDB rewrites a small table after a few looks past it
STORE_CACHE_BYTES = 16 * 1024 * 1024
STORE_OPEN_FILES_MAX = 256
FILES_KEPT_OPEN_MAX = 64  # of journal, batch log and page log, for reading
FILES_WRITTEN_OPEN_MAX = 8  # of the same, for writing: the newest of each, and some to spare
BOOT_BLOCKS_CHECKED_MAX = 65_536  # two of LevelDB's log files, filled with the smallest blocks

# -- execution pace --------------------------------------------------------------------------------
EXECUTION_SLICE_BODIES = 16

RECENT_HEIGHTS_KEPT = 128
PARTIES_REMEMBERED_MAX = 4_096
STATE_CACHE_BYTES_MAX = 8 * 1024 * 1024
STATE_PAGES_CACHED_MAX = 16_384  # in each of two generations: 20 to 30 MB when both are full
TRANSACTION_FILTER_BYTES = 4 * 1024 * 1024  # a power of two; good for 3 million, then less so
TRANSACTION_FILTER_ADDED_MAX = 16_384  # at one look, after a start: 20 to 40 ms
TRANSACTION_FILTER_KEPT_EVERY = 65_536  # transactions: what a start has to take in at most
STATE_PAGES_KEPT_RATIO = 3  # pages on the disk for each that the newest version refers to,
STATE_PAGES_SPARE = 262_144  # and so many more, before old ones are written anew
STATE_HEIGHTS_GIVEN_UP_MIN = 2  # by one block, if there are too many; more where they are small:
STATE_HEIGHTS_GIVEN_UP_MAX = 1_024  # by one block, up to
STATE_PAGES_GIVEN_UP_PER_WRITE = 4  # so many pages for each key that it writes, more than it adds
SIGNERS_HASHES_CACHED_MAX = 4_096

# -- the edge --------------------------------------------------------------------------------------
PEER_OUTBOX_BYTES_MAX = 32 * 1024 * 1024
PEER_MESSAGE_BYTES_MAX = 4 * 1024 * 1024
GATEWAY_WAITERS_MAX = 100_000
GATEWAY_WAIT_MS_MAX = 60_000
QUERY_BYTES_MAX = 64 * 1024
READ_VALIDITY_MS_MAX = 60_000
PEER_FRAMES_MAX = 64  # in one message
PEER_INBOX_BYTES_MAX = 8 * 1024 * 1024  # of one peer's messages that wait to be stepped
PEER_INBOX_MESSAGES_MAX = 2_000
PEER_HANDSHAKE_MS_MAX = 5_000
PEER_REDIAL_MS_MIN = 50
PEER_REDIAL_MS_MAX = 250  # a validator that came back lacks links, and so may a quorum
PEER_CONNECT_MS_MAX = 2_000
PEER_SHUT_OUT_MS = 1_000  # of a peer that sent what no validator sends
INBOX_SUBMISSIONS_MAX = 20_000
EVENTS_PER_STEP_MAX = 64  # the loop also serves sockets
STEPS_IN_FLIGHT_MAX = 4_096  # steps whose effects still wait for the disk
GATEWAY_REQUEST_BYTES_MAX = 1024 * 1024  # beyond it gRPC itself refuses, unread
GATEWAY_CALLS_MAX = 4_096
GATEWAY_STREAM_CALLS_MAX = 4_096  # of one SubmitStream, taken in and not answered
GATEWAY_REPLY_BYTES_TARGET = 1024 * 1024  # a streamed reply ends with the result that passes it
VERIFY_CHUNK_ENVELOPES = 10
SHUTDOWN_MS_MAX = 5_000
DIVERGENCE_S_MAX = 20  # to find out what exactly a node that stopped has computed otherwise

# -- blobs -----------------------------------------------------------------------------------------
BLOB_PAYLOAD_BYTES_MAX = 256 * 1024
BLOB_BYTES_MAX = 272 * 1024  # the payload, its padding and its keys; fits one request
BLOB_KEYS_MAX = 16  # of both parties together
BLOB_JOBS_MAX = 64  # that wait for the disk
BLOB_DISK_FREE_BYTES_MIN = 1024 * 1024 * 1024  # that blobs leave to the chain

# -- proofs ----------------------------------------------------------------------------------------
PROOF_HASHES_MAX = 63
NOTE_BYTES_MAX = 16 * 1024
NOTE_SIGNATURES_MAX = 64
RECEIPT_BYTES_MAX = 256 * 1024

# -- the gate for contracts ------------------------------------------------------------------------
GATE_TRIAL_S_MAX = 120
GATE_DIFFERENCES_MAX = 50

# -- documents that are exchanged with other formats -----------------------------------------------
DOSSIER_BYTES_MAX = 4 * 1024 * 1024
DOSSIER_ROWS_MAX = 1_000
IMPORT_BYTES_MAX = 1024 * 1024
IMPORT_EVENTS_MAX = 1_000
IMPORT_TOKEN_BYTES_MAX = 256 * 1024
