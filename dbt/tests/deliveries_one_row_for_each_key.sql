select account, server, sync, stream, key
from {{ ref('deliveries') }}
group by account, server, sync, stream, key
having count(*) > 1
