-- ARGV: 1 ms, then of each lease its id and kv tokens. One that Redis has lost is there again; so is not what it used
-- of the minute, of which nothing is given back
local lease_ms, now = tonumber(ARGV[1]), now_ms()
for place = 2, #ARGV, 2 do
  local id = ARGV[place]
  if not read(id) then put(id, tonumber(ARGV[place + 1]), 0) end
  redis.call('ZADD', ENDS, whole(now + lease_ms), id)
end
drop_ended(now)
keep(lease_ms)
return {'renewed'}
