-- ARGV: 1 token of this call, 2 author, 3 action, 4 most events, 5 most audit entries, 6 tenant, 7 content, 8 etag,
-- 9 the generation that it was checked against, 10 `delete` or `write`
local tenant, etag, token, deletes = ARGV[6], ARGV[8], ARGV[1], ARGV[10] == 'delete'
local record = redis.call('HGET', POLICIES, tenant)
local generation, before, written_by = '0', record or '', ''
if record then
  local seen, _, by, _, header_end = string.match(record, '^(%d+) (%d+) (%S*) ([^\n]*)\n()')
  -- else somebody else wrote it, and all of it is content
  if seen then generation, written_by, before = seen, by, string.sub(record, header_end) end
end
-- sent again, because its answer was lost
if deletes and not record and redis.call('HGET', POLICIES, ':deleted') == token then return {'done', ''} end
if record and not deletes and written_by == token then return {'done', record} end

if etag == '' and record then return {'exists'} end
if etag ~= '' and not record then return {'missing'} end
if record and etag ~= generation .. '-' .. string.sub(redis.sha1hex(before), 1, 8) then return {'stale'} end
local now = redis.call('HGET', POLICIES, ':generation') or '0'
if now ~= ARGV[9] then return {'moved', now} end

local by = {token = token, author = ARGV[2], action = ARGV[3], max_events = ARGV[4], max_audit = ARGV[5]}
local content = ARGV[7]
if deletes then content = nil end
return {'done', put(tenant, content, before, by)}
