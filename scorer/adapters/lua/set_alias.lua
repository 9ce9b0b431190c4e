-- ARGV: 2 alias, 3 version, 4 the generation that the caller saw, 5 token of this call, 6 share; empty keeps it
local name, version, share = ARGV[2], ARGV[3], ARGV[6]
local record = redis.call('HGET', ALIASES, name)
local current = record and parse_alias(record) or {version = '0', generation = '0', previous = '0', share = ''}
-- sent again, because its answer was lost
if current.token == ARGV[5] then return {'done', record} end
if current.generation ~= ARGV[4] then return {'moved', record or ''} end
if redis.call('HEXISTS', VERSIONS, version) == 0 then return {'missing'} end

if share == '' then share = current.share end
local others = 0
for other, alias in pairs(all_aliases()) do
  if other ~= name then others = others + (tonumber(alias.share) or 0) end
end
-- tenths do not add up exactly
if others + (tonumber(share) or 0) > 1 + 1e-9 then return {'shares', tostring(others)} end

-- set to where it is, it keeps the way back
local previous = current.version
if previous == version then previous = current.previous end
local moved = {version = version, previous = previous, token = ARGV[5], share = share}
moved.generation = emit('alias', version, name)
write_alias(name, moved)
mark_idle()
return {'done', redis.call('HGET', ALIASES, name)}
