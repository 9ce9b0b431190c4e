-- ARGV: 1 the tokens that each really used, empty for as many as it was charged, then the leases
for place = 2, #ARGV do
  local id, used = ARGV[place], tonumber(ARGV[1])
  local _, claimed = read(id)
  if used and (claimed or 0) > 0 then
    local sum = tonumber(redis.call('HGET', STATE, 'tokens') or 0)
    redis.call('HSET', STATE, 'tokens', string.format('%.6f', math.max(0, sum + used - claimed)))
  end
  drop(id)
end
return {'released'}
