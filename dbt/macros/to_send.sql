{#
  The rows of a relation that a target does not have in this version. See README.md.

  Arguments:
    relation: ref(...) or source(...): all rows that the vendor should have, one for each key.
    stream: the target's stream, such as 'people'.
    key: the key columns, one name or a list, in the order that the target has them.
    account: the target's setting `account`, or what it takes by default.
    sync: the target's setting `sync`.
    server: host and path of the vendor's API; needed only if the account has two.
    version: the column that tells one version of a row from another. Without one: row_version, if
      the relation has it, else a hash of all columns.
    deletes: whether to delete what was delivered and the relation no longer has.
    max_deletes: how many, a number or a share of what was delivered; a share always allows 5.
    max_shrink: how much smaller than what was delivered the relation may be, in the same way.
#}
{% macro to_send(relation, stream, key, account=none, sync='default', server=none, version=none,
                 deletes=false, max_deletes='10%', max_shrink='50%') -%}
{%- if not execute %}{{ return('select 1') }}{% endif -%}
{%- set columns = singer_http.columns_of(relation) -%}
{%- set keys = [key] if key is string else key -%}
{%- do singer_http._refuse(relation, stream, columns, keys, account, version) -%}
{%- if not singer_http.ledger_is_there() -%}
{%- do log('to_send, ' ~ stream ~ ': there is no ledger yet, so every row is planned', info=true) -%}
{%- endif -%}
{%- set found = {} -%}
{%- for column in columns %}{% do found.update({column.name: column}) %}{% endfor -%}
{%- set key_columns = [] -%}
{%- for name in keys %}{% do key_columns.append(found[name]) %}{% endfor -%}
{%- set kept = columns | rejectattr('name', 'in', singer_http._own_columns()) | list -%}
{%- set version_column = found.get(version or 'row_version') -%}
{%- set deleted_at = found.get('_sdc_deleted_at') -%}
{%- set moment = deleted_at.data_type if deleted_at else api.Column.translate_type('timestamptz') -%}
{%- set copied = singer_http.copied() -%}
with
{% if copied -%}
trust as {{ singer_http.materialized() }} (
    {{ singer_http.trust(stream, account, sync, server) | indent(4) }}
),

{% endif -%}
standing as {{ singer_http.inlined() }} (
    {{ singer_http.standing(stream, account, sync, server) | indent(4) }}
),

present as {{ singer_http.inlined() }} (
    select
        {%- for column in kept %}
        {{ column.quoted }},
        {%- endfor %}
        {{ deleted_at.quoted if deleted_at else 'cast(null as ' ~ moment ~ ')' }} as _sdc_deleted_at,
        {{ singer_http.version_text(version_column) if version_column
            else singer_http.row_version(columns) }} as row_version,
        {{ singer_http.key_text(key_columns) }} as singer_key,
        true as singer_present
    from {{ relation }}
),

-- One pass over both: rows that do not stand, and keys of the ledger that the relation no longer has.
-- Outstanding records stand in no version, and deleted ones only if the row is deleted still.
differs as {{ singer_http.materialized() }} (
    select
        {%- for column in kept %}
        present.{{ column.quoted }},
        {%- endfor %}
        present._sdc_deleted_at,
        present.row_version,
        coalesce(present.singer_key, standing.singer_key) as singer_key,
        present.singer_present is null as singer_missing,
        standing.singer_hashed,
        standing.singer_delivered
    from present
    full join standing on standing.singer_key = present.singer_key
    where case
        when present.singer_present is null
            then standing.singer_hashed{{ ' or standing.singer_delivered' if deletes }}
        else not coalesce(
            standing.singer_version = present.row_version
            {%- if deleted_at and singer_http.is_moment(deleted_at) %}
            or standing.singer_state = 'deleted' and present._sdc_deleted_at is not null
            {%- endif %},
            false
        )
    end
),

{{ singer_http._totals(relation, stream, account, sync, server, deletes) }}

-- It is evaluated before the first row is read; it fails, or is true.
checked as {{ singer_http.materialized() }} (
    {{ singer_http._checks(relation, stream, account, key_columns, deletes, max_deletes,
        max_shrink) | indent(4) }}
)

select
    {%- for column in kept %}
    {{ column.quoted }},
    {%- endfor %}
    row_version,
    _sdc_deleted_at
    {%- if copied %},
    (select singer_run from trust) as _sdc_planned_after
    {%- endif %}
from differs
where not singer_missing and (select singer_ok from checked)
{%- if deletes %}
union all
select
    {%- for column in kept %}
    {% if column.name in keys -%}
    {{ singer_http.key_part(column, keys.index(column.name), keys | length) }},
    {%- else -%}
    {{ singer_http.null_of(column) }},
    {%- endif %}
    {%- endfor %}
    cast(null as {{ dbt.type_string() }}),
    {{ 'true' if moment == 'boolean' else 'cast(current_timestamp as ' ~ moment ~ ')' }}
    {%- if copied %},
    (select singer_run from trust)
    {%- endif %}
from differs
where singer_missing and singer_delivered and (select singer_ok from checked)
{%- endif %}
{%- endmacro %}


{# Stop at what cannot be planned, before any SQL is run. #}
{% macro _refuse(relation, stream, columns, keys, account, version) %}
  {%- set names = columns | map(attribute='name') | list -%}
  {%- set problems = [] -%}
  {%- if not columns -%}
    {%- do problems.append(relation ~ ' does not exist, or has no columns: build it first') -%}
  {%- endif -%}
  {%- if not account -%}
    {%- do problems.append('account is missing: the setting account of the target, or what it takes'
      ~ ' by default, such as the client_id of AutoReach (column account of singer_http_standing)') -%}
  {%- endif -%}
  {%- if not keys -%}
    {%- do problems.append('key is missing: name the key columns') -%}
  {%- endif -%}
  {%- for name in keys + ([version] if version else []) if columns and name not in names -%}
    {%- do problems.append('there is no column ' ~ name ~ ' in ' ~ relation) -%}
  {%- endfor -%}
  {%- for column in columns if column.name in keys -%}
    {%- if column.name in singer_http._own_columns() -%}
      {%- do problems.append(column.name ~ ' cannot be a key') -%}
    {%- elif not singer_http.is_key_type(column) -%}
      {%- do problems.append('the key column ' ~ column.name ~ ' is of the type ' ~ column.dtype
        ~ ': cast it to text in ' ~ relation.identifier) -%}
    {%- endif -%}
  {%- endfor -%}
  {%- if model is defined and model.config.materialized == 'incremental' -%}
    {%- do problems.append('a plan is a table or a view: incremental would keep the rows of earlier '
      ~ 'plans, which would be sent again') -%}
  {%- endif -%}
  {%- if singer_http.copied() and model.config.materialized != 'table' -%}
    {%- do problems.append('with the tables of tap-deliveries a plan is a table, to remember which '
      ~ 'run it has seen (+materialized: table)') -%}
  {%- endif -%}
  {%- if problems -%}
    {%- do exceptions.raise_compiler_error('to_send, ' ~ stream ~ ': ' ~ problems[0]) -%}
  {%- endif -%}
{% endmacro %}


{# Columns that a plan has of its own. #}
{% macro _own_columns() %}
  {{ return(['row_version', '_sdc_deleted_at', '_sdc_planned_after']) }}
{% endmacro %}
