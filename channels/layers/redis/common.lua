-- What all scripts share: it stands before each of them, and before the other parts that some need.
--
-- Keys. P is the layer's prefix, S the prefix of its statistics; on a Redis Cluster both end in
-- the hash tag of a shard, so that a shard is in one slot. Names of channels and groups have no
-- ":", so that no key is mistaken for another one. An "owner" is who reads a queue: a process
-- ("websocket.send.PROCESS!"), or a normal or single-reader channel. All of an owner's keys are
-- in the shard of the owner, those of a group in the shard of the group.
--
--   P<owner>                   list    a queue of entries
--   P joined:<owner>           zset    the groups of an owner, by when it lapses there
--   P sockets:<group>:<owner>  zset    what follows the "!" of a process's members, likewise
--   P journal:<owner>          stream  how the members of a process changed, of late
--   P alive:                   zset    announced processes, by when they count as dead; also
--                                      of other shards, to notice when this one loses its groups
--   P group:<group>            zset    where a group may have members: owners, by when they lapse
--   P bell:<random>            list    wakes a receiver that waits on several shards
--   S channel:<counted name>   hash    messages_count, channel_full_count
--   S global                   hash    the same, of all channels
--
-- The group only tells where to look; who belongs to it is what the owner's keys say. A process
-- keeps its members in its memory too, by reading its journal: so a group's message is one entry
-- that names the group and the place in the journal, whatever the number of members.
--
-- An entry is one byte of version, the time it expires (milliseconds, decimal, by this server's
-- clock), a space, its target, a newline, and the message, which begins with a version of its own.
-- The target is what follows the "!", or "@<group> <place in the journal>", or nothing.
--
-- A record of the journal has one field, "c": kind, group, socket, when it lapses, separated by
-- spaces. The kinds: "+" joined, "=" was a member and stays one for longer, "-" left.
--
-- All keys are declared, times are in milliseconds, and no key is ever without an expiry.

local clock = redis.call('TIME')
local now = tonumber(clock[1]) * 1000 + math.floor(tonumber(clock[2]) / 1000)

-- Let a key live for so long at least, and a little longer, so that it need not be told each time.
local function keep(key, lifetime)
    if redis.call('PTTL', key) < lifetime then
        redis.call('PEXPIRE', key, math.floor(lifetime * 1.25))
    end
end
