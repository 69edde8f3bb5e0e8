select
    run,
    plugin,
    version,
    account,
    server,
    sync,
    mode,
    started_at,
    finished_at,
    outcome,
    error,
    input_complete
from ({{ singer_http.ledger_rows('runs') }}) as runs
