{# What the ledger knows of the keys of one stream. No row where there is no ledger yet. #}
{% macro standing(stream, account, sync, server) -%}
{%- set ledger = singer_http.ledger('singer_http_standing') -%}
{%- if ledger -%}
select
    key as singer_key,
    server as singer_server,
    version as singer_version,
    state as singer_state,
    key_hashed as singer_hashed,
    delivered_at is not null and state <> 'deleted' as singer_delivered
from {{ ledger }}
where
    account = {{ singer_http._literal(account) }}
    and sync = {{ singer_http._literal(sync) }}
    and stream = {{ singer_http._literal(stream) }}
    {%- if server %}
    and server = {{ singer_http._literal(server) }}
    {%- endif %}
{%- else -%}
{%- do log('to_send, ' ~ stream ~ ': there is no ledger yet, so everything is planned', info=true) -%}
select
    cast(null as {{ dbt.type_string() }}) as singer_key,
    cast(null as {{ dbt.type_string() }}) as singer_server,
    cast(null as {{ dbt.type_string() }}) as singer_version,
    cast(null as {{ dbt.type_string() }}) as singer_state,
    false as singer_hashed,
    false as singer_delivered
where false
{%- endif -%}
{%- endmacro %}


{# A table or view of the ledger, none where there is none yet. #}
{% macro ledger(name) -%}
  {{ return(adapter.get_relation(
    database=target.database, schema=var('singer_http_ledger_schema', 'public'), identifier=name)) }}
{%- endmacro %}

{% macro _literal(text) -%}
  {{ dbt.string_literal(dbt.escape_single_quotes(text)) }}
{%- endmacro %}
