{#
  What differs from warehouse to warehouse. Another one needs a macro ADAPTER__NAME for each of
  these that its SQL does not share with PostgreSQL.
#}

{# The canonical text of a key, as the ledger has it; null or empty where a part is missing. #}
{% macro key_text(columns) -%}
  {{ return(adapter.dispatch('key_text', 'singer_http')(columns)) }}
{%- endmacro %}

{# Byte by byte ("C"): a column's own collation may take texts that differ in case for equal. #}
{% macro postgres__key_text(columns) -%}
  {%- if columns | length == 1 -%}
    {#- Not in nullif: the planner knows how many texts a column has, but not of an expression. -#}
    {{ singer_http._part_text(columns[0]) }} collate "C"
  {%- else -%}
    ('['
    {%- for column in columns %} || {{ "',' || " if not loop.first }}to_json(nullif(
      {{- singer_http._part_text(column) }} collate "C", ''))::text{% endfor %} || ']') collate "C"
  {%- endif -%}
{%- endmacro %}

{# One text for equal numbers: no exponent, no zeros at the end. #}
{% macro _part_text(column) -%}
  {%- set kind = column.data_type.split('(')[0].strip() -%}
  {%- if kind == 'numeric' -%}
    trim_scale({{ column.quoted }})::text
  {%- elif kind in ['real', 'double precision'] -%}
    trim_scale({{ column.quoted }}::text::numeric)::text
  {%- else -%}
    {{ column.quoted }}::text
  {%- endif -%}
{%- endmacro %}


{# The columns of a relation; none where it does not exist. #}
{% macro columns_of(relation) -%}
  {{ return(adapter.dispatch('columns_of', 'singer_http')(relation)) }}
{%- endmacro %}

{% macro default__columns_of(relation) -%}
  {{ return(adapter.get_columns_in_relation(relation)) }}
{%- endmacro %}

{# The information schema, which dbt asks, does not know materialized views. #}
{% macro postgres__columns_of(relation) -%}
  {%- set columns = adapter.get_columns_in_relation(relation) -%}
  {%- if not columns -%}
    {%- set place = [relation.schema, relation.identifier] | map('replace', "'", "''") | list -%}
    {%- set found = run_query("select a.attname, format_type(a.atttypid, null) from pg_attribute as a"
      ~ " join pg_class as c on c.oid = a.attrelid join pg_namespace as n on n.oid = c.relnamespace"
      ~ " where n.nspname = '" ~ place[0] ~ "' and c.relname = '" ~ place[1] ~ "'"
      ~ " and c.relkind = 'm' and a.attnum > 0 and not a.attisdropped order by a.attnum") -%}
    {%- for row in found.rows %}{% do columns.append(api.Column(row[0], row[1])) %}{% endfor -%}
  {%- endif -%}
  {{ return(columns) }}
{%- endmacro %}


{# The types whose text is certain to be that of the ledger. #}
{% macro is_key_type(column) -%}
  {{ return(adapter.dispatch('is_key_type', 'singer_http')(column)) }}
{%- endmacro %}

{% macro postgres__is_key_type(column) -%}
  {#- Not data_type, which is "character varying" of a character(n) too: its text has no blanks at
      the end, but the tap reads them, so each such row would be a new key, and a delete. -#}
  {{ return(column.dtype in [
    'text', 'character varying', 'uuid', 'smallint', 'integer', 'bigint', 'numeric', 'real',
    'double precision',
  ]) }}
{%- endmacro %}


{# A key column out of the text of a key, singer_key. #}
{% macro key_part(column, index, count) -%}
  {{ return(adapter.dispatch('key_part', 'singer_http')(column, index, count)) }}
{%- endmacro %}

{% macro postgres__key_part(column, index, count) -%}
  {#- A length or scale would cut a key that was longer once: it would be another record's. -#}
  {#- Two rows of a union may not have two collations: this one overrides the column's own. -#}
  cast({{ singer_http._part_of_key(index, count) }}
    {{- ' collate "default"' if count == 1 }} as {{ column.data_type.split('(')[0] }})
{%- endmacro %}

{% macro _part_of_key(index, count) -%}
  {{ 'singer_key' if count == 1 else '(singer_key::json ->> ' ~ index ~ ')' }}
{%- endmacro %}


{# The same, but null where the text is none of the column's type, which the cast would fail at. #}
{% macro key_part_or_null(column, index, count) -%}
  {{ return(adapter.dispatch('key_part_or_null', 'singer_http')(column, index, count)) }}
{%- endmacro %}

{% macro postgres__key_part_or_null(column, index, count) -%}
  {%- set number = '^-?[0-9]+([.][0-9]+)?(E-?[0-9]+)?$' -%}
  {%- set pattern = {
    'smallint': '^-?[0-9]{1,5}$', 'integer': '^-?[0-9]{1,10}$', 'bigint': '^-?[0-9]{1,19}$',
    'numeric': number, 'real': number, 'double precision': number,
    'uuid': '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$',
  }.get(column.dtype, '') -%}
  case when {{ singer_http._part_of_key(index, count) }} ~ '{{ pattern }}'
    then {{ singer_http.key_part(column, index, count) }} end
{%- endmacro %}


{# Null, for a column that a delete has none for; of its type, where the type can be named. #}
{% macro null_of(column) -%}
  {{ return(adapter.dispatch('null_of', 'singer_http')(column)) }}
{%- endmacro %}

{% macro default__null_of(column) -%}
  cast(null as {{ column.data_type }})
{%- endmacro %}

{% macro postgres__null_of(column) -%}
  {#- All that dbt knows of arrays, enums and types of extensions (citext) are these words. -#}
  {{ 'null' if column.data_type in ['ARRAY', 'USER-DEFINED']
    else 'cast(null as ' ~ column.data_type ~ ')' }}
{%- endmacro %}


{#
  A hash of columns and their names that tells one version of a row from another: null and ''
  differ, and so do ('a', 'bc') and ('ab', 'c').

  Arguments:
    columns: names, or columns as adapter.get_columns_in_relation gives them.
#}
{% macro row_version(columns) -%}
  {{ return(adapter.dispatch('row_version', 'singer_http')(columns)) }}
{%- endmacro %}

{% macro postgres__row_version(columns) -%}
  {%- set names, texts = [], [] -%}
  {%- for column in columns -%}
    {%- if column is string -%}
      {%- do names.append(column) -%}
      {%- do texts.append(adapter.quote(column)) -%}
    {%- elif column.name == '_sdc_deleted_at' or not column.name.startswith('_sdc_') -%}
      {#- What a load adds (_sdc_batched_at) is no part of the row: targets leave it out. -#}
      {%- do names.append(column.name) -%}
      {%- do texts.append(singer_http._unambiguous(column)) -%}
    {%- endif -%}
  {%- endfor -%}
  {#- Two columns that swap their names are another row, and the target's mapping stays the same. -#}
  md5('{{ local_md5(tojson(names)) }}' || row({{ texts | join(', ') }})::text)
{%- endmacro %}


{# The text of the column that tells versions apart. #}
{% macro version_text(column) -%}
  {{ return(adapter.dispatch('version_text', 'singer_http')(column)) }}
{%- endmacro %}

{# As in key_text: another version must not look the same. #}
{% macro postgres__version_text(column) -%}
  {{ singer_http._unambiguous(column) }}::text collate "C"
{%- endmacro %}

{# The text of a moment must not depend on the session's time zone. #}
{% macro _unambiguous(column) -%}
  {%- if column.data_type == 'timestamp with time zone' -%}
    ({{ column.quoted }} at time zone 'UTC')
  {%- else -%}
    {{ column.quoted }}
  {%- endif -%}
{%- endmacro %}


{# Whether a run received rows of a stream, by its copied column streams (a JSON list). #}
{% macro has_received(column, stream) -%}
  {{ return(adapter.dispatch('has_received', 'singer_http')(column, stream)) }}
{%- endmacro %}

{# By way of its text, whatever type a loader chose. #}
{% macro postgres__has_received(column, stream) -%}
  coalesce(jsonb_path_exists({{ column }}::text::jsonb, '$[*] ? (@.stream == $s && @.received > 0)',
    {{- '' }} jsonb_build_object('s', {{ singer_http._literal(stream) }})), false)
{%- endmacro %}


{# Whether a column holds dates or moments, where only null is empty. #}
{% macro is_moment(column) -%}
  {{ return(adapter.dispatch('is_moment', 'singer_http')(column)) }}
{%- endmacro %}

{% macro postgres__is_moment(column) -%}
  {{ return(column.data_type.startswith('timestamp') or column.data_type == 'date') }}
{%- endmacro %}


{# A boolean expression that fails with a text, when it is evaluated. #}
{% macro fail_with(text) -%}
  {{ return(adapter.dispatch('fail_with', 'singer_http')(text)) }}
{%- endmacro %}

{% macro postgres__fail_with(text) -%}
  cast({{ text }} as boolean)
{%- endmacro %}


{# Said of a common table expression that is worked out once. #}
{% macro materialized() -%}
  {{ return(adapter.dispatch('materialized', 'singer_http')()) }}
{%- endmacro %}

{% macro default__materialized() -%}
{%- endmacro %}

{% macro postgres__materialized() -%}
  materialized
{%- endmacro %}


{# Said of one that is worked out in each place that names it, as far as that place needs it. #}
{% macro inlined() -%}
  {{ return(adapter.dispatch('inlined', 'singer_http')()) }}
{%- endmacro %}

{% macro default__inlined() -%}
{%- endmacro %}

{% macro postgres__inlined() -%}
  not materialized
{%- endmacro %}

