-- What 50 owners are like a day later.

-- 30 have another number
update warehouse.owners
set phone = '+1555' || right('0000000' || number, 7), updated_at = now()
from (
    select owner_id, row_number() over (order by owner_id) as number
    from warehouse.owners
    where email like 'owner%@example.com'
    group by owner_id
    having count(*) = 1
    limit 30
) as chosen
where owners.owner_id = chosen.owner_id;

-- 10 had an address that was refused
update warehouse.owners
set email = owner_id || '@example.com', updated_at = now()
where owner_id in (
    select owner_id
    from warehouse.owners
    where email = 'n/a' or email like '% at %'
    group by owner_id
    having count(*) = 1
    order by owner_id
    limit 10
);

-- 5 are new
insert into warehouse.owners
    (owner_id, first_name, email, phone, parcel_id, list_id, updated_at)
select
    'own_1000' || n, 'New', 'new' || n || '@example.com', '+1555999000' || n, 'P-1000' || n, 1, now()
from generate_series(1, 5) as n;

-- 5 have sold
update warehouse.owners
set deleted_at = now(), updated_at = now()
where owner_id in (
    select owner_id
    from warehouse.owners
    where
        list_id is not null
        and phone is not null
        and length(first_name) < 100
        and email like 'Owner%@Example.COM'
    group by owner_id
    having count(*) = 1
    order by owner_id desc
    limit 5
)
