-- KEYS: 5 manifest, 6... chunks
-- ARGV: 2 version, 3 seconds for readers to finish, 4 how many ms it must have been idle, or -1
local version, idle_ms = ARGV[2], tonumber(ARGV[4])
if redis.call('HEXISTS', VERSIONS, version) == 0 then return {'missing'} end
local aliases = all_aliases()
local users = {'in_use'}
for name, alias in pairs(aliases) do
  if alias.version == version then users[#users + 1] = name end
end
if #users > 1 then return users end
if idle_ms >= 0 then
  local since = redis.call('HGET', IDLE, version)
  if not since or now_ms() - tonumber(since) < idle_ms then return {'needed'} end
end

redis.call('HDEL', VERSIONS, version)
redis.call('HDEL', IDLE, version)
redis.call('DEL', KEYS[5])
for i = 6, #KEYS do redis.call('EXPIRE', KEYS[i], ARGV[3]) end
for name, alias in pairs(aliases) do
  if alias.previous == version then
    alias.previous = '0'
    write_alias(name, alias)
  end
end
emit('deleted', version, '')
return {'done'}
