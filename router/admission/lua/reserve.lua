-- ARGV: 1 lease, 2 its ms, 3 tokens, 4 kv tokens, 5 least kv tokens, then limits, empty for none:
-- 6 requests and 7 tokens a minute, 8 requests at once, 9 kv tokens, and 10 ms to wait for what another lease holds
local id, lease_ms, tokens, kv, least = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local per_minute = {requests = tonumber(ARGV[6]), tokens = tonumber(ARGV[7])}
local at_once, kv_limit, held_ms = tonumber(ARGV[8]), tonumber(ARGV[9]), tonumber(ARGV[10])
local now = now_ms()
drop_ended(now)
-- sent again, because its answer was lost
local before = read(id)
if before then return {'granted', whole(before)} end

local reason, limit, wait = nil, nil, -1
local function refuse(name, most, ms)
  if ms > wait then reason, limit, wait = name, most, ms end
end

local at = tonumber(redis.call('HGET', STATE, 'at') or now)
local used, amounts = {}, {requests = 1, tokens = tokens}
for name, amount in pairs(amounts) do
  local most = per_minute[name]
  used[name] = tonumber(redis.call('HGET', STATE, name) or 0)
  if most then
    -- what was used flows off, a limit's worth each minute; a limit that was lowered forgives the rest
    used[name] = math.max(0, math.min(used[name], most) - math.max(0, now - at) * most / MINUTE_MS)
    local over = used[name] + amount - most
    if over > 0 then refuse(string.upper(name) .. '_PER_MINUTE', most, math.ceil(over * MINUTE_MS / most)) end
  end
end
if at_once and redis.call('HLEN', LEASES) >= at_once then refuse('CONCURRENT_REQUESTS', at_once, held_ms) end
local granted = kv
if kv_limit then
  granted = math.min(kv, kv_limit - tonumber(redis.call('HGET', STATE, 'kv') or 0))
  if granted < least then refuse('RESIDENT_KV_TOKENS', kv_limit, held_ms) end
end
if reason then return {'refused', reason, whole(limit), whole(wait)} end

for name, amount in pairs(amounts) do
  redis.call('HSET', STATE, name, per_minute[name] and string.format('%.6f', used[name] + amount) or '0')
end
redis.call('HSET', STATE, 'at', whole(math.max(at, now)))
put(id, granted, per_minute.tokens and tokens or 0)
redis.call('ZADD', ENDS, whole(now + lease_ms), id)
keep(lease_ms)
return {'granted', whole(granted)}
