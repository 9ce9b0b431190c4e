-- KEYS: 5 used, 6 manifest, 7... chunks
-- ARGV: 2 version, 3 manifest, 4 config, 5 sums, 6 tag, 7 fingerprint, 8 bytes
local version = ARGV[2]
if redis.call('EXISTS', KEYS[6]) == 1 then
  local stored = redis.call('HMGET', KEYS[6], 'manifest', 'tag')
  -- sent again, because its answer was lost
  if stored[1] == ARGV[3] and stored[2] == ARGV[6] then
    return {'done', redis.call('HGET', VERSIONS, version)}
  end
end
if redis.call('SISMEMBER', KEYS[5], version) == 1 then return {'exists'} end

local missing = {'missing'}
for i = 7, #KEYS do
  if redis.call('EXISTS', KEYS[i]) == 0 then missing[#missing + 1] = tostring(i - 7) end
end
if #missing > 1 then return missing end

redis.call('HSET', KEYS[6], 'manifest', ARGV[3], 'config', ARGV[4], 'sums', ARGV[5], 'tag', ARGV[6])
for i = 7, #KEYS do redis.call('PERSIST', KEYS[i]) end
redis.call('SADD', KEYS[5], version)
local info = table.concat({ARGV[7], ARGV[8], whole(now_ms())}, ' ')
redis.call('HSET', VERSIONS, version, info)
emit('published', version, '')
if redis.call('HEXISTS', ALIASES, 'default') == 0 then
  local generation = emit('alias', version, 'default')
  write_alias('default', {version = version, generation = generation, previous = '0', token = '', share = ''})
end
mark_idle()
return {'done', info}
