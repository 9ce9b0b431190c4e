-- shared by all. KEYS: 1 state, 2 leases, 3 their ends. One tenant's keys are in one slot.
-- state: requests and tokens used of the minute, as of `at`; kv, the sum over all leases. A lease is `kv tokens`:
-- what it holds, and the tokens that were charged for it, 0 where there was no limit.
local STATE, LEASES, ENDS = KEYS[1], KEYS[2], KEYS[3]
local MINUTE_MS = 60000

local function now_ms()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

local function whole(number) return string.format('%.0f', number) end

local function read(id)
  local record = redis.call('HGET', LEASES, id)
  if not record then return nil end
  local kv, tokens = string.match(record, '^(%d+) (%d+)$')
  return tonumber(kv), tonumber(tokens)
end

local function put(id, kv, tokens)
  local before = read(id) or 0
  redis.call('HSET', LEASES, id, whole(kv) .. ' ' .. whole(tokens))
  redis.call('HINCRBY', STATE, 'kv', whole(kv - before))
end

local function drop(id)
  local kv = read(id)
  if kv then redis.call('HINCRBY', STATE, 'kv', whole(0 - kv)) end
  redis.call('HDEL', LEASES, id)
  redis.call('ZREM', ENDS, id)
end

-- of those whose router is gone
local function drop_ended(now)
  for _, id in ipairs(redis.call('ZRANGEBYSCORE', ENDS, '-inf', whole(now))) do drop(id) end
end

local function keep(lease_ms)
  for _, key in ipairs(KEYS) do redis.call('PEXPIRE', key, whole(2 * MINUTE_MS + lease_ms)) end
end
