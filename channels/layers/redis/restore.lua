-- Put back members that Redis has lost, at their owner's, but for those that have left since.
-- KEYS: the owner's groups, its sockets in the group, its journal. ARGV: group, place in the
-- journal up to which the process knows it; for each socket its name and when it lapses.
local left = {}
for _, change in ipairs(redis.call('XRANGE', KEYS[3], '(' .. ARGV[2], '+')) do
    local kind, group, socket = string.match(change[2][2], '^(.) (%S+) (%S+)')
    if group == ARGV[1] then
        left[socket] = kind == '-'
    end
end
local latest = 0
for index = 3, #ARGV, 2 do
    local socket, lapses = ARGV[index], tonumber(ARGV[index + 1])
    if lapses > now and not left[socket] then
        redis.call('ZADD', KEYS[2], 'GT', lapses, socket)
        latest = math.max(latest, lapses)
    end
end
if latest > 0 then
    redis.call('ZADD', KEYS[1], 'GT', latest, ARGV[1])
    keep(KEYS[2], latest - now)
    keep(KEYS[1], latest - now)
end
return 0
