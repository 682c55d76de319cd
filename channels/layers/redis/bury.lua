-- Remove keys of a process, if it still counts as dead, and with the last of them its name.
-- KEYS: the announced processes, keys of the process. ARGV: process, "1" for the last keys.
local alive_until = redis.call('ZSCORE', KEYS[1], ARGV[1])
if alive_until and tonumber(alive_until) <= now then
    redis.call('UNLINK', unpack(KEYS, 2))
    if ARGV[2] == '1' then
        redis.call('ZREM', KEYS[1], ARGV[1])
    end
end
return 0
