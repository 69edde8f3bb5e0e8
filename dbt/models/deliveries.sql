{# What became of each key. In another schema: +schema in dbt_project.yml of your project. #}
select
    account,
    server,
    sync,
    stream,
    key,
    key_hashed,
    version,
    state,
    remote_id,
    delivered_at,
    run
from ({{ singer_http.ledger_rows('standing') }}) as standing
