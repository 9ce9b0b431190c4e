-- ARGV: 2 alias, 3 the generation that the caller saw
local record = redis.call('HGET', ALIASES, ARGV[2])
if not record then return {'missing'} end
local current = parse_alias(record)
if current.generation ~= ARGV[3] then return {'moved', record} end
redis.call('HDEL', ALIASES, ARGV[2])
emit('alias_removed', current.version, ARGV[2])
mark_idle()
return {'done'}
