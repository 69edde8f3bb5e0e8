{#
  One row, whose column singer_ok is true. Where the plan must not be carried out it fails with one
  line instead.
#}
{% macro _checks(relation, stream, account, keys, deletes, max_deletes, max_shrink) -%}
{%- set about = stream ~ ': ' -%}
{%- set name = relation.schema ~ '.' ~ relation.identifier -%}
{%- set limit = singer_http._limit('max_deletes', max_deletes) -%}
{%- set shrink = singer_http._limit('max_shrink', max_shrink) -%}
{%- set known, delivered = '(select keys from totals)', '(select delivered from totals)' -%}
{%- set rows_present = '(select rows_present from counted)' -%}
select case
    when (select servers from places) > 1
        then {{ singer_http._stop([about ~ 'the ledger knows ' ~ account ~ ' at ',
            '$(select servers from places)', ' servers: name one (the argument server of to_send)']) }}
    when hashed > 0{{ '' if deletes else ' and hashed > ' ~ known ~ ' / 2' }}
        then {{ singer_http._stop([about, '$hashed', ' of ', '$' ~ known, ' keys stand hashed in the '
            ~ 'ledger, as emails and phones do, and cannot be compared: take an id of your own as key'
            ~ ' (setting keys of the target)']) }}
    when repeated > 0
        then {{ singer_http._stop([about, '$repeated', ' keys have several rows in ' ~ name
            ~ ': keep one row of each']) }}
    {%- if singer_http.copied() %}
    when (select doubled from totals) > 0
        then {{ singer_http._stop([about ~ 'the copied table records has ',
            '$(select doubled from totals)', ' rows more '
            ~ 'than keys, so old versions stand beside new ones: have the loader of tap-deliveries '
            ~ 'replace the row of a key (upsert)']) }}
    when {{ rows_present }} = 0
        then {{ singer_http._stop([about ~ name ~ ' is empty (', '$' ~ rows_present,
            ' rows): nothing is planned']) }}
    {%- endif %}
    {%- if deletes %}
    when gone = 0
        then true
    when keyless > 0
        then {{ singer_http._stop([about, '$keyless', ' rows of ' ~ name ~ ' have no key, so it is '
            ~ 'unknown which records are gone: nothing is planned']) }}
    {%- if max_shrink != '100%' %}
    when {{ rows_present }} = 0
        then {{ singer_http._stop([about ~ name ~ ' is empty, ', '$' ~ delivered, ' records were '
            ~ 'delivered: nothing is planned (with max_shrink 100% it would be)']) }}
    {%- endif %}
    when gone > {{ limit }}
        then {{ singer_http._stop([about ~ 'the plan would delete ', '$gone', ' of ', '$' ~ delivered,
            ' records, more than max_deletes (' ~ max_deletes ~ ') allows: nothing is planned. Check '
            ~ name ~ ', or raise max_deletes']) }}
    when {{ delivered }} - {{ rows_present }} > {{ shrink }}
        then {{ singer_http._stop([about ~ name ~ ' has ', '$' ~ rows_present, ' rows, ', '$' ~ delivered,
            ' records were delivered: that is less than max_shrink (' ~ max_shrink
            ~ ') allows, so nothing is planned']) }}
    {%- set others = '(' ~ singer_http._other_keys(keys) ~ ')' %}
    when {{ others }} > 0
        then {{ singer_http._stop([about, '$' ~ others, ' delivered keys are others in the type that '
            ~ 'they have in ' ~ name ~ ' (007 is 7 as a number), so their deletes would be those of '
            ~ 'other records: cast its key columns to text']) }}
    {%- endif %}
    else true
end as singer_ok
from (
    select
        {{ singer_http._number_of('singer_missing and singer_hashed') }} as hashed,
        {{ singer_http._number_of('singer_missing and singer_delivered') }} as gone,
        {{ singer_http._number_of("not singer_missing and coalesce(singer_key, '') = ''") }} as keyless
    from differs
) as found
cross join (
    -- Which of several rows is the last one cannot be told. Rows without a key are rejected later.
    select count(*) as repeated
    from (
        select singer_key
        from present
        where singer_key in (
            select singer_key from differs where not singer_missing and singer_key <> ''
        )
        group by singer_key
        having count(*) > 1
    ) as several
) as duplicates
{%- endmacro %}


{# How many of the keys that are gone would be written otherwise in the columns of a delete. #}
{% macro _other_keys(keys) -%}
select count(*)
    from (
        select
            singer_key,
            {%- for column in keys %}
            {{ singer_http.key_part_or_null(column, loop.index0, keys | length) }} as {{ column.quoted }}
            {{- ',' if not loop.last }}
            {%- endfor %}
        from differs
        where singer_missing and singer_delivered
    ) as gone_keys
    where coalesce({{ singer_http.key_text(keys) }} <> singer_key, true)
{%- endmacro %}


{#
  Numbers that the checks may need. A database that works out a common table expression only when it
  is needed (PostgreSQL) counts nothing where no check has anything to compare.
#}
{% macro _totals(relation, stream, account, sync, server, deletes) -%}
places as {{ singer_http.materialized() }} (
    {{ singer_http.servers(stream, account, sync, server) | indent(4) }}
),

totals as {{ singer_http.materialized() }} (
    select
        count(*) as keys,
        {%- if singer_http.copied() %}
        count(*) - count(distinct singer_key) as doubled,
        {%- endif %}
        {{ singer_http._number_of('singer_delivered') }} as delivered
    from standing
),
{%- if deletes or singer_http.copied() %}

counted as {{ singer_http.materialized() }} (
    select count(*) as rows_present from {{ relation }}
),
{%- endif %}
{%- endmacro %}

{% macro _number_of(condition) -%}
  coalesce(sum(case when {{ condition }} then 1 else 0 end), 0)
{%- endmacro %}


{#
  An expression that fails with a text. Parts that begin with $ name a column; at least one does, or
  a planner might work the expression out although its case is not met.
#}
{% macro _stop(parts) -%}
  {%- set texts = [] -%}
  {%- for part in parts -%}
    {%- do texts.append('cast(' ~ part[1:] ~ ' as ' ~ dbt.type_string() ~ ')' if part.startswith('$')
      else dbt.string_literal(dbt.escape_single_quotes(part))) -%}
  {%- endfor -%}
  {{ singer_http.fail_with(dbt.concat(texts)) }}
{%- endmacro %}


{# A limit as SQL: a number, or a share of what was delivered, which always allows 5. #}
{% macro _limit(name, given) -%}
  {%- set text = (given | string).strip() -%}
  {%- set number = text[:-1].strip() if text.endswith('%') else text -%}
  {%- if not modules.re.fullmatch('[0-9]+([.][0-9]+)?' if text.endswith('%') else '[0-9]+', number)
      or (text.endswith('%') and number | float > 100) -%}
    {%- do exceptions.raise_compiler_error('to_send: ' ~ name ~ ' is a number (50) or a share up to 100%'
      ~ ' (10%), not ' ~ text) -%}
  {%- endif -%}
  {%- if not text.endswith('%') -%}
    {{ number }}
  {%- elif number | float == 0 -%}
    0
  {%- else -%}
    greatest(5, {{ number }} * (select delivered from totals) / 100)
  {%- endif -%}
{%- endmacro %}
