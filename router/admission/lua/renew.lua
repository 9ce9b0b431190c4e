-- ARGV: 1 ms, then of each lease its id, kv tokens and tokens. One that Redis has lost is there again
local lease_ms, now = tonumber(ARGV[1]), now_ms()
for place = 2, #ARGV, 3 do
  local id = ARGV[place]
  if not read(id) then put(id, tonumber(ARGV[place + 1]), tonumber(ARGV[place + 2])) end
  redis.call('ZADD', ENDS, whole(now + lease_ms), id)
end
drop_ended(now)
keep(lease_ms)
return {'renewed'}
