-- KEYS: 1 routers, 2 and 3 are not used. ARGV: 1 router, 2 what it observes, 3 ms after which a router is forgotten
local routers, time = KEYS[1], now_ms()
redis.call('HSET', routers, ARGV[1], time .. ' ' .. ARGV[2])
local fields = redis.call('HGETALL', routers)
for i = 1, #fields, 2 do
  local told = tonumber(string.match(fields[i + 1], '^%d+') or '0')
  if tonumber(time) - told > tonumber(ARGV[3]) then redis.call('HDEL', routers, fields[i]) end
end
return {'done'}
