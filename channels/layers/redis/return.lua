-- Put entries that were taken for nothing back at the front of their queue, the last one first.
-- KEYS: the queue. ARGV: the entries.
for _, entry in ipairs(ARGV) do
    local lifetime = expiry_of(entry) - now
    if lifetime > 0 then
        redis.call('LPUSH', KEYS[1], entry)
        keep(KEYS[1], lifetime)
    end
end
return 0
