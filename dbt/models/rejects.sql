select
    account,
    server,
    sync,
    stream,
    key,
    slot,
    kind,
    reason,
    status,
    operation,
    attempts,
    remote_id,
    rejected_at,
    run
from ({{ singer_http.ledger_rows('rejects') }}) as rejects
