{# The newest row of each owner, with AutoReach's names: all that AutoReach should have. #}
{{ config(materialized='view') }}
select distinct on (owner_id)
    owner_id          as external_id,
    first_name,
    last_name,
    email,
    phone,
    last_contacted_at as previous_contact_date,
    parcel_id,
    property_address,
    city              as property_city,
    state             as property_state,
    estimated_value,
    equity_percent,
    absentee          as absentee_owner,
    last_sale_date,
    notes,
    deleted_at        as _sdc_deleted_at
from {{ source('warehouse', 'owners') }}
order by owner_id, updated_at desc
