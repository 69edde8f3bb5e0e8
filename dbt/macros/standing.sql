{# What the ledger knows of the keys of one stream. #}
{% macro standing(stream, account, sync, server) -%}
{%- set copied = var('singer_http_deliveries_schema', none) is not none -%}
select
    key as singer_key,
    {%- if copied %}
    case when sent_since.singer_key is null then version end as singer_version,
    case when sent_since.singer_key is null then state end as singer_state,
    key_hashed as singer_hashed,
    delivered_at is not null and (state <> 'deleted' or sent_since.singer_key is not null)
        as singer_delivered
    {%- else %}
    version as singer_version,
    state as singer_state,
    key_hashed as singer_hashed,
    delivered_at is not null and state <> 'deleted' as singer_delivered
    {%- endif %}
from ({{ singer_http.ledger_rows('standing') }}) as ledger
{%- if copied %}
left join sent_since on sent_since.singer_key = ledger.key
{%- endif %}
where
    account = {{ singer_http._literal(account) }}
    and sync = {{ singer_http._literal(sync) }}
    and stream = {{ singer_http._literal(stream) }}
    {%- if server %}
    and server = {{ singer_http._literal(server) }}
    {%- endif %}
{%- endmacro %}


{#
  The keys of the last plan, if the copy of the ledger may not have what became of it: it has no run
  that began after that plan and has ended. They are planned again, until a newer copy comes. So a
  row that changed and changed back is not taken for one that never changed.
#}
{% macro sent_since(key_columns, account, sync) -%}
{%- set last = load_relation(this) -%}
{%- set names = adapter.get_columns_in_relation(last) | map(attribute='name') | list if last else [] -%}
{%- set known = ['_sdc_planned_at'] + key_columns | map(attribute='name') | list -%}
{%- if last and not known | reject('in', names) | list -%}
select distinct {{ singer_http.key_text(key_columns) }} as singer_key
from {{ last }}
where not exists (
    select 1
    from ({{ singer_http.ledger_rows('runs') }}) as runs
    where
        runs.account = {{ singer_http._literal(account) }}
        and runs.sync = {{ singer_http._literal(sync) }}
        and runs.outcome <> 'running'
        and runs.started_at > (select max(_sdc_planned_at) from {{ last }})
)
{%- else -%}
select cast(null as {{ dbt.type_string() }}) as singer_key
where false
{%- endif -%}
{%- endmacro %}


{# At how many servers the ledger knows the account: another server is another account. #}
{% macro servers(stream, account, sync, server) -%}
{%- set copied = var('singer_http_deliveries_schema', none) is not none -%}
{%- set scopes = none if copied else singer_http.ledger('singer_http_scopes') -%}
{%- if scopes and not server -%}
{#- Its column account has both, with a space between them. -#}
select count(distinct account) as servers
from {{ scopes }}
where
    sync = {{ singer_http._literal(sync) }}
    and stream = {{ singer_http._literal(stream) }}
    and substring(account, 1, {{ account | length + 1 }}) = {{ singer_http._literal(account ~ ' ') }}
    and position(' ' in substring(account, {{ account | length + 2 }})) = 0
{%- elif copied and not server -%}
select count(distinct server) as servers
from ({{ singer_http.ledger_rows('standing') }}) as ledger
where
    account = {{ singer_http._literal(account) }}
    and sync = {{ singer_http._literal(sync) }}
    and stream = {{ singer_http._literal(stream) }}
{%- else -%}
select 1 as servers
{%- endif -%}
{%- endmacro %}


{% macro _literal(text) -%}
  {{ dbt.string_literal(dbt.escape_single_quotes(text)) }}
{%- endmacro %}
