-- All accounts in one table each. A view shows one account's rows: the account that the connection
-- names (`options=-csinger.account=dallas`). Without a name the view fails, and shows nothing.
create schema agency;

create table agency.accounts (account text primary key, connection text not null, rate_limit text);

create table agency.contacts (
    account text not null,
    owner_id text not null,
    first_name text not null,
    last_name text not null,
    email text not null,
    phone text not null,
    primary key (account, owner_id)
);

create table agency.messages (
    account text not null,
    message_id text not null,
    phone text not null,
    text text not null,
    primary key (account, message_id)
);

create schema to_actionapi;

create view to_actionapi.contacts as
select owner_id, first_name as "Fname", last_name as "Lname", email as "Email", phone as "Number"
from agency.contacts
where account = current_setting('singer.account');

create view to_actionapi.sms as
select message_id, phone as number, text
from agency.messages
where account = current_setting('singer.account');
