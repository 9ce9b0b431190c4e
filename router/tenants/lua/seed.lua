-- ARGV: 1-5 as in write.lua, then tenant and content of each policy
if redis.call('EXISTS', POLICIES) == 1 then return {'there'} end
local by = {token = ARGV[1], author = ARGV[2], action = ARGV[3], max_events = ARGV[4], max_audit = ARGV[5]}
for i = 6, #ARGV, 2 do put(ARGV[i], ARGV[i + 1], '', by) end
return {'done'}
