{#
  Where the ledger is read: in the targets' own tables, where their database (setting database_url)
  is this warehouse, else in the tables into which tap-deliveries was loaded.
#}

{# standing, rejects or runs of the ledger as a select; without a row where there is no ledger. #}
{% macro ledger_rows(what) -%}
  {%- set copy = var('singer_http_deliveries_schema', none) -%}
  {%- set columns = singer_http._ledger_columns()[what] -%}
  {%- if not execute -%}
    select 1
  {%- elif copy -%}
    {%- set relation = singer_http._relation(copy, {'standing': 'records'}.get(what, what)) -%}
    {{ singer_http._copied(relation, columns) if relation else singer_http._no_rows(columns) }}
  {%- else -%}
    {%- set relation = singer_http.ledger('singer_http_' ~ what) -%}
    {{ singer_http.read_ledger(what, relation) if relation else singer_http._no_rows(columns) }}
  {%- endif -%}
{%- endmacro %}

{% macro ledger_is_there() -%}
  {%- set copy = var('singer_http_deliveries_schema', none) -%}
  {{ return(singer_http._relation(copy, 'records') if copy
    else singer_http.ledger('singer_http_standing')) }}
{%- endmacro %}

{# A table or view of the targets' database in this warehouse, none where there is none. #}
{% macro ledger(name) -%}
  {{ return(singer_http._relation(var('singer_http_ledger_schema', 'public'), name)) }}
{%- endmacro %}

{% macro _relation(schema, name) -%}
  {{ return(adapter.get_relation(database=target.database, schema=schema, identifier=name)) }}
{%- endmacro %}

{% macro _ledger_columns() -%}
  {%- set text, moment, number = dbt.type_string(), dbt.type_timestamp(), dbt.type_int() -%}
  {%- set place = {'account': text, 'server': text, 'sync': text, 'stream': text} -%}
  {{ return({
    'standing': dict(place, key=text, key_hashed='boolean', version=text, state=text, remote_id=text,
      delivered_at=moment, run=text),
    'rejects': dict(place, key=text, slot=text, kind=text, reason=text, status=number,
      operation=text, attempts=number, remote_id=text, rejected_at=moment, run=text),
    'runs': {'run': text, 'plugin': text, 'version': text, 'account': text, 'server': text,
      'sync': text, 'mode': text, 'started_at': moment, 'finished_at': moment, 'outcome': text,
      'error': text, 'input_complete': 'boolean'},
  }) }}
{%- endmacro %}

{% macro _no_rows(columns) -%}
  select
  {%- for name, kind in columns.items() %}
    cast(null as {{ kind }}) as {{ name }}{{ ',' if not loop.last }}
  {%- endfor %}
  where false
{%- endmacro %}

{# A table that tap-deliveries filled. #}
{% macro _copied(relation, columns) -%}
  select {{ columns | join(', ') }}
  from {{ relation }} as copied
{%- endmacro %}


{# The targets' own tables. Columns account hold account and server, with a space between them. #}
{% macro read_ledger(what, relation) -%}
  {{ return(adapter.dispatch('read_ledger', 'singer_http')(what, relation)) }}
{%- endmacro %}

{% macro postgres__read_ledger(what, relation) -%}
  {%- set account = "regexp_replace({}.account, ' [^ ]*$', '')" -%}
  {%- set server = "regexp_replace({}.account, '^.* ', '')" -%}
  {%- if what == 'standing' -%}
select * from {{ relation }}
  {%- elif what == 'rejects' -%}
select
    {{ account.format('scopes') }} as account,
    {{ server.format('scopes') }} as server,
    scopes.sync,
    scopes.stream,
    case
        when rejects.key like chr(10) || '%' then 'no key ' || substr(rejects.key, 2)
        else rejects.key
    end as key,
    coalesce(nullif(rejects.slot, ''), 'main') as slot,
    rejects.kind,
    {{ singer_http._masked('rejects.reason') }} as reason,
    rejects.status,
    rejects.operation,
    rejects.attempts,
    rejects.remote_id,
    to_timestamp(rejects.at) as rejected_at,
    nullif(rejects.run, '') as run
from {{ relation }} as rejects
join {{ singer_http.ledger('singer_http_scopes') }} as scopes on scopes.id = rejects.scope
  {%- else -%}
select
    runs.run,
    runs.plugin,
    runs.report::json ->> 'version' as version,
    {{ account.format('runs') }} as account,
    {{ server.format('runs') }} as server,
    runs.sync,
    runs.report::json ->> 'mode' as mode,
    to_timestamp(runs.started_at) as started_at,
    to_timestamp(runs.finished_at) as finished_at,
    runs.outcome,
    {{ singer_http._masked("(runs.report::json ->> 'error')") }} as error,
    case
        when runs.outcome <> 'running' then (runs.report::json ->> 'input_complete')::boolean
    end as input_complete
from {{ relation }} as runs
where runs.plugin like 'target-%'
  {%- endif -%}
{%- endmacro %}

{# An ellipsis for each email and phone, by the expressions of singer_http.identity (\b is \y). #}
{% macro _masked(text) -%}
regexp_replace(
        regexp_replace({{ text }}, '[\w.+%-]+@[\w-]+(?:\.[\w-]+)+', '…', 'g'),
        '\+[0-9][0-9 ().-]{5,}[0-9]|(?<![\w-])\(?[0-9]{3}[) .-]+[0-9]{3}[ .-][0-9]{4}\y'
        '|\y[0-9]{10,11}\y',
        '…', 'g'
    )
{%- endmacro %}
