-- Remove keys of a process, if it still counts as dead, and with the last of them its name: 1 if
-- that was so. Until then the name says that the process is being buried: should it go on now, it
-- would find but a part of its keys.
-- KEYS: the announced processes, keys of the process. ARGV: process, "1" for the last keys.
local alive_until = redis.call('ZSCORE', KEYS[1], ARGV[1])
if not alive_until or tonumber(alive_until) > now then
    return 0
end
redis.call('UNLINK', unpack(KEYS, 2))
if ARGV[2] == '1' then
    redis.call('ZREM', KEYS[1], ARGV[1])
else
    redis.call('ZADD', KEYS[1], 0, ARGV[1])
end
return 1
