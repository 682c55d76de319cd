-- Tell the processes that live that what they will miss was removed on purpose.
-- KEYS: the announced processes, the mark. ARGV: how long to leave it.
if redis.call('EXISTS', KEYS[1]) == 1 then
    redis.call('SET', KEYS[2], '1', 'PX', ARGV[1])
end
return 0
