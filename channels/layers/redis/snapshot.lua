-- The place in a process's journal; and if its groups are the given ones, their sockets (with when
-- they lapse), and the journal.
-- KEYS: its groups, its journal, its sockets in each of the given groups. ARGV: the groups.
local groups = redis.call('ZRANGE', KEYS[1], 0, -1)
local given = {}
for _, group in ipairs(ARGV) do
    given[group] = true
end
for _, group in ipairs(groups) do
    if not given[group] then
        return {place_in(KEYS[2])}
    end
end
local sockets = {}
for index = 1, #ARGV do
    sockets[index] = redis.call('ZRANGE', KEYS[2 + index], 0, -1, 'WITHSCORES')
end
return {place_in(KEYS[2]), sockets, redis.call('XRANGE', KEYS[2], '-', '+')}
