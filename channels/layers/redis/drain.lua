-- What else waits for owners that are processes, and how their members changed: for each of them
-- its entries, and the records of its journal.
-- KEYS: for each owner its queue and its journal. ARGV: entries at the most (0 for none), records
-- at the most, for each owner the place in its journal from which to go on.
local count, found = tonumber(ARGV[1]), {}
for owner = 1, #KEYS / 2 do
    local entries = count > 0 and redis.call('LPOP', KEYS[owner * 2 - 1], count) or {}
    found[owner] = {
        entries,
        redis.call('XRANGE', KEYS[owner * 2], '(' .. ARGV[owner + 2], '+', 'COUNT', ARGV[2]),
    }
end
return found
