{# What the ledger knows of the keys of one stream. No row where there is no ledger yet. #}
{% macro standing(stream, account, sync, server) -%}
select
    key as singer_key,
    version as singer_version,
    state as singer_state,
    key_hashed as singer_hashed,
    delivered_at is not null and state <> 'deleted' as singer_delivered
from ({{ singer_http.ledger_rows('standing') }}) as ledger
where
    account = {{ singer_http._literal(account) }}
    and sync = {{ singer_http._literal(sync) }}
    and stream = {{ singer_http._literal(stream) }}
    {%- if server %}
    and server = {{ singer_http._literal(server) }}
    {%- endif %}
{%- endmacro %}


{# At how many servers the ledger knows the account: another server is another account. #}
{% macro servers(stream, account, sync, server) -%}
{%- set scopes = singer_http.ledger('singer_http_scopes') -%}
{%- if scopes and not server -%}
{#- Its column account has both, with a space between them. -#}
select count(distinct account) as servers
from {{ scopes }}
where
    sync = {{ singer_http._literal(sync) }}
    and stream = {{ singer_http._literal(stream) }}
    and substring(account, 1, {{ account | length + 1 }}) = {{ singer_http._literal(account ~ ' ') }}
    and position(' ' in substring(account, {{ account | length + 2 }})) = 0
{%- else -%}
select 1 as servers
{%- endif -%}
{%- endmacro %}


{% macro _literal(text) -%}
  {{ dbt.string_literal(dbt.escape_single_quotes(text)) }}
{%- endmacro %}
