-- The sockets of a process's groups (with when they lapse), its journal, and the place there; or
-- nothing if its groups are not the given ones.
-- KEYS: its groups, its journal, its sockets in each of the given groups. ARGV: the groups.
local groups = redis.call('ZRANGE', KEYS[1], 0, -1)
local given = {}
for _, group in ipairs(ARGV) do
    given[group] = true
end
for _, group in ipairs(groups) do
    if not given[group] then
        return false
    end
end
local sockets = {}
for index = 1, #ARGV do
    sockets[index] = redis.call('ZRANGE', KEYS[2 + index], 0, -1, 'WITHSCORES')
end
return {sockets, redis.call('XRANGE', KEYS[2], '-', '+'), place_in(KEYS[2])}
