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


-- Those who go to the other vendors: the owners of one list, each as of the newest row.
create view warehouse.chosen as
select distinct on (owner_id) *
from warehouse.owners
where list_id = 1 and deleted_at is null
order by owner_id, updated_at desc;

-- Who must not be reached: whatever the vendor, and however the email or the phone is written.
create table warehouse.do_not_contact (
    id     text primary key,
    email  text,
    phone  text
);

create schema to_reisoftware;

create view to_reisoftware.contacts as
select
    owner_id,                         -- the key; not sent
    first_name        as "firstName",
    last_name         as "lastName",
    email,
    phone,
    property_address  as address1,
    city,
    state,
    'US'              as country,
    'warehouse'       as source,
    -- custom fields, by their keys
    parcel_id,
    estimated_value,
    last_sale_date,
    notes
from warehouse.chosen;

create view to_reisoftware.contact_tags as
select
    email,
    array_remove(array['owner', case when absentee then 'absentee' end], null) as tags
from warehouse.chosen
where email like '%@%';

create view to_reisoftware.contact_campaigns as
select email, 'Y2I9XM7aO1hncuSOlc9L' as "campaignId"
from warehouse.chosen
where email like '%@%' and equity_percent > 70;

create view to_reisoftware.contact_workflows as
select email, '78559bb3-b920-461e-b010-7b2a2816d2a9' as "workflowId"
from warehouse.chosen
where email like '%@%' and absentee;

create schema to_emailmarketing;

create view to_emailmarketing.contacts as
select
    email,
    first_name,
    last_name,
    -- custom fields, by their names
    city,
    absentee,
    last_sale_date as last_sale
from warehouse.chosen
where email is not null;

create view to_emailmarketing.suppressions as
select * from warehouse.do_not_contact;

create schema to_actionapi;

create view to_actionapi.contacts as
select
    owner_id,  -- the key; not sent
    first_name as "Fname",
    last_name  as "Lname",
    email      as "Email",
    phone      as "Number"
from warehouse.chosen;

create view to_actionapi.automations as
select owner_id, 10 as "idAuto", email as "Email"
from warehouse.chosen
where email like '%@%';

create view to_actionapi.calls as
select
    'call ' || owner_id                                          as message_id,
    phone                                                        as number,
    'Hello, this is about the house at ' || property_address || '.' as text
from warehouse.chosen
where phone is not null and estimated_value > 1800000;

create view to_actionapi.sms as
select
    'sms ' || owner_id                                           as message_id,
    phone                                                        as number,
    'Thank you for your call about ' || property_address || '.'  as text
from warehouse.chosen
where phone is not null and absentee;

create view to_actionapi.suppressions as
select * from warehouse.do_not_contact;
