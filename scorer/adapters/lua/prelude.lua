-- shared by all scripts: KEYS 1-4 and ARGV 1 are the same in each
local VERSIONS, ALIASES, IDLE, EVENTS = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local MAX_EVENTS = ARGV[1]

local function now_ms()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

-- tostring would write a time as 1.7e+12
local function whole(number)
  return string.format('%.0f', number)
end

local function parse_alias(record)
  local version, generation, previous, token, share = string.match(record, '^(%d+) (%d+) (%d+) (%S*) ?(%S*)$')
  return {version = version, generation = generation, previous = previous, token = token, share = share}
end

local function all_aliases()
  local found, fields = {}, redis.call('HGETALL', ALIASES)
  for i = 1, #fields, 2 do
    if fields[i] ~= ':revision' then found[fields[i]] = parse_alias(fields[i + 1]) end
  end
  return found
end

local function write_alias(name, alias)
  -- no share is an empty one
  local record = {alias.version, alias.generation, alias.previous, alias.token, alias.share}
  redis.call('HSET', ALIASES, name, table.concat(record, ' '))
end

-- the number of the event, which is also the generation of the alias that it is about
local function emit(kind, version, alias)
  local number = whole(redis.call('HINCRBY', ALIASES, ':revision', 1))
  redis.call('XADD', EVENTS, 'MAXLEN', '~', MAX_EVENTS, number .. '-0',
    'kind', kind, 'version', version, 'alias', alias)
  return number
end

-- a version that an alias could roll back to is needed, too
local function mark_idle()
  local needed = {}
  for _, alias in pairs(all_aliases()) do
    needed[alias.version] = true
    needed[alias.previous] = true
  end
  local now = whole(now_ms())
  for _, version in ipairs(redis.call('HKEYS', VERSIONS)) do
    if needed[version] then
      redis.call('HDEL', IDLE, version)
    else
      redis.call('HSETNX', IDLE, version, now)
    end
  end
end
