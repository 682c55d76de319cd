-- Take the first entry there is: the number of its owner and the entry, or nothing.
-- KEYS: for each owner, in the order to look, its queue and its groups. ARGV: for each owner "1"
-- if it is a process, which counts as alive while it reads.
for owner = 1, #KEYS / 2 do
    local queue, joined = KEYS[owner * 2 - 1], KEYS[owner * 2]
    if drop_expired(queue) and ARGV[owner] ~= '1' then
        redis.call('UNLINK', joined)
    end
    local entry = redis.call('LPOP', queue)
    if entry then
        return {owner, entry}
    end
end
return false
