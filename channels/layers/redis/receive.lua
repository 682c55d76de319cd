-- Take the first entry there is: its owner and the entry, or nothing.
-- KEYS: the queues, in the order to look. ARGV: P, S, their owners.
for index, key in ipairs(KEYS) do
    local owner = ARGV[2 + index]
    if drop_expired(key) and not is_process(owner) then
        leave_all(owner)
    end
    local entry = redis.call('LPOP', key)
    if entry then
        return {owner, entry}
    end
end
return false
