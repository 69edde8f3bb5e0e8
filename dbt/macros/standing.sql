{# What the ledger knows of the keys of one stream. #}
{% macro standing(stream, account, sync, server) -%}
select
    key as singer_key,
    {%- if singer_http.copied() %}
    case when (select singer_trusted from trust) then version end as singer_version,
    case when (select singer_trusted from trust) then state end as singer_state,
    {%- else %}
    version as singer_version,
    state as singer_state,
    {%- endif %}
    key_hashed and state <> 'deleted' as singer_hashed,
    delivered_at is not null and state <> 'deleted' as singer_delivered
from ({{ singer_http.ledger_rows('standing') }}) as ledger
where
    {{ singer_http._of(stream, account, sync, server) }}
{%- endmacro %}

{% macro _of(stream, account, sync, server) -%}
account = {{ singer_http._literal(account) }}
    and sync = {{ singer_http._literal(sync) }}
    {%- if stream %}
    and stream = {{ singer_http._literal(stream) }}
    {%- endif %}
    {%- if server %}
    and server = {{ singer_http._literal(server) }}
    {%- endif %}
{%- endmacro %}


{#
  Whether the copy of the ledger has all that was sent since the last plan: the newest run of the
  stream has ended well, and is not the one that the last plan saw. An old copy would take a row that
  changed, and changed back, for one that never changed. See docs/decisions/standing.md.
#}
{% macro trust(stream, account, sync, server) -%}
{%- set last = load_relation(this) -%}
{%- set names = adapter.get_columns_in_relation(last) | map(attribute='name') | list if last else [] -%}
{%- set copied = singer_http._relation(var('singer_http_deliveries_schema'), 'runs') -%}
select
    run as singer_run,
    {%- if '_sdc_planned_after' in names %}
    not exists (select 1 from {{ last }})
    or outcome = 'ok' and run <> (select max(_sdc_planned_after) from {{ last }}) as singer_trusted
    {%- else %}
    false as singer_trusted
    {%- endif %}
from (
    select
        coalesce(max(case when newest = 1 then run end), '') as run,
        coalesce(max(case when newest = 1 then outcome end), '') as outcome
    {%- if copied %}
    from (
        select run, outcome, row_number() over (order by started_at desc, run desc) as newest
        from {{ copied }} as runs
        where
            {{ singer_http._of(none, account, sync, server) | indent(12) }}
            -- Other jobs of the sync bring other streams, and may retry what this one has rejected.
            -- What a run did that did not end well is uncertain.
            and (outcome <> 'ok' or {{ singer_http.has_received('streams', stream) }})
    ) as numbered
    {%- else %}
    from (select '' as run, '' as outcome, 1 as newest) as no_runs
    {%- endif %}
) as last_run
{%- endmacro %}

{# Whether the ledger is read in the tables of tap-deliveries. #}
{% macro copied() -%}
  {{ return(var('singer_http_deliveries_schema', none) is not none) }}
{%- endmacro %}


{# At how many servers the ledger knows the account: another server is another account. #}
{% macro servers(stream, account, sync, server) -%}
{%- set scopes = none if singer_http.copied() else singer_http.ledger('singer_http_scopes') -%}
{%- if server -%}
select 1 as servers
{%- elif scopes -%}
{#- Its column account has both, with a space between them. -#}
select count(distinct account) as servers
from {{ scopes }}
where
    sync = {{ singer_http._literal(sync) }}
    and stream = {{ singer_http._literal(stream) }}
    and substring(account, 1, {{ account | length + 1 }}) = {{ singer_http._literal(account ~ ' ') }}
    and position(' ' in substring(account, {{ account | length + 2 }})) = 0
{%- else -%}
select count(distinct server) as servers
from ({{ singer_http.ledger_rows('standing') }}) as ledger
where
    {{ singer_http._of(stream, account, sync, none) }}
{%- endif -%}
{%- endmacro %}

{% macro _literal(text) -%}
  {{ dbt.string_literal(dbt.escape_single_quotes(text)) }}
{%- endmacro %}
