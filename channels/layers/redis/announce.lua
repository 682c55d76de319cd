-- Say that a process lives, and remove what belongs to some of those that do not.
-- KEYS: the announced processes. ARGV: P, S, process, how long it counts as alive, how long
-- to remember that it is dead.
redis.call('ZADD', KEYS[1], now + tonumber(ARGV[4]), ARGV[3])
keep(KEYS[1], tonumber(ARGV[5]))
local dead = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now, 'LIMIT', 0, BURIALS_AT_ONCE)
for _, process in ipairs(dead) do
    bury(process)
end
return #dead
