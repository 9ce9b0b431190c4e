-- shared by the scripts that write. KEYS: 1 policies, 2 events, 3 audit
local POLICIES, EVENTS, AUDIT = KEYS[1], KEYS[2], KEYS[3]

local function now_ms()
  local time = redis.call('TIME')
  return string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000))
end

-- a record is `generation ms token author`, a line feed, and the content; without content the policy goes.
-- returns the record
local function put(tenant, content, before, by)
  local new, time, record = redis.call('HINCRBY', POLICIES, ':generation', 1), now_ms(), ''
  new = string.format('%.0f', new)
  if content then
    record = table.concat({new, time, by.token, by.author}, ' ') .. '\n' .. content
    redis.call('HSET', POLICIES, tenant, record)
  else
    redis.call('HDEL', POLICIES, tenant)
    redis.call('HSET', POLICIES, ':deleted', by.token)
  end
  redis.call('XADD', EVENTS, 'MAXLEN', '~', by.max_events, '*', 'tenant', tenant, 'generation', new)
  redis.call('XADD', AUDIT, 'MAXLEN', '~', by.max_audit, '*', 'time_ms', time, 'author', by.author,
    'action', by.action, 'tenant', tenant, 'generation', new, 'before', before, 'after', content or '')
  return record
end
