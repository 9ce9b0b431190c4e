-- ARGV: 2 alias, 3 version, 4 the generation that the caller saw, 5 token of this call
local name, version = ARGV[2], ARGV[3]
local record = redis.call('HGET', ALIASES, name)
local current = record and parse_alias(record) or {version = '0', generation = '0', previous = '0'}
-- sent again, because its answer was lost
if current.token == ARGV[5] then return {'done', record} end
if current.generation ~= ARGV[4] then return {'moved', record or ''} end
if redis.call('HEXISTS', VERSIONS, version) == 0 then return {'missing'} end

-- set to where it is, it keeps the way back
local previous = current.version
if previous == version then previous = current.previous end
write_alias(name, {version = version, generation = emit('alias', version, name), previous = previous, token = ARGV[5]})
mark_idle()
return {'done', redis.call('HGET', ALIASES, name)}
