-- The warehouse: a flat table as an extract brings it, and for each vendor a schema of views that
-- have the vendor's names for the columns. The views are all that is needed to send records.

create schema warehouse;

create table warehouse.owners (
    owner_id          text not null,  -- not unique: a correction is a further row
    first_name        text,
    last_name         text,
    email             text,
    phone             text,
    property_address  text,
    city              text,
    state             text,
    parcel_id         text,
    estimated_value   numeric(12, 2),
    equity_percent    numeric(5, 2),
    absentee          boolean,
    last_sale_date    date,
    last_contacted_at timestamptz,
    list_id           integer,        -- the AutoReach list that the owner is to be on, if any
    notes             text,
    updated_at        timestamptz not null,
    deleted_at        timestamptz
);

create schema to_autoreach;

create view to_autoreach.people as
select
    owner_id          as external_id,
    first_name,
    last_name,
    email,
    phone,
    last_contacted_at as previous_contact_date,
    -- the account's custom fields, by their keys
    parcel_id,
    property_address,
    city              as property_city,
    state             as property_state,
    estimated_value,
    equity_percent,
    absentee          as absentee_owner,
    last_sale_date,
    -- no field of AutoReach's: left out, with a warning
    notes,
    deleted_at        as _sdc_deleted_at
from warehouse.owners
order by updated_at;

create view to_autoreach.members as
select
    owner_id,
    list_id,
    first_name,
    last_name,
    email,
    phone,
    parcel_id,
    city              as property_city,
    deleted_at        as _sdc_deleted_at
from warehouse.owners
where list_id is not null
order by updated_at;
