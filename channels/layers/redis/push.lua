-- Queue messages, in their order. Returns for each of them -1, or -2 for an owner that is in the
-- group no more, or the depth of a queue that is full: it takes no other message of this call, so
-- that they keep their order.
-- KEYS: the counter of all channels, the announced processes; for each owner its queue, groups,
-- journal and counter.
-- ARGV: expiry, linger, number of messages; for each message the number of its owner, limit,
-- target ("@" and the group for a member), number of its body; the bodies.
local EVIDENCE, SENT, GONE = tonumber(ARGV[2]), -1, -2
local expiry, messages = tonumber(ARGV[1]), tonumber(ARGV[3])
local bodies = 3 + messages * 4
local expires = string.format('%.0f', now + expiry)
local depths, fulls, sents, refusals = {}, {}, {}, {}
local results = {}

local function depth_of(owner, queue, joined, limit)
    local depth = depths[owner] or redis.call('LLEN', queue)
    if depth >= limit and drop_expired(queue) then
        redis.call('UNLINK', joined)
        depth = redis.call('LLEN', queue)
    end
    return depth
end

-- The place in the journal: its last record, or what comes before all those of this millisecond.
local function place_in(journal)
    local last = redis.call('XREVRANGE', journal, '+', '-', 'COUNT', 1)[1]
    return last and last[1] or string.format('%.0f-18446744073709551615', now - 1)
end

local function push(owner, limit, target, body)
    local first = 3 + (owner - 1) * 4
    local queue, joined = KEYS[first], KEYS[first + 1]
    if fulls[owner] then
        refusals[owner] = refusals[owner] + 1
        return fulls[owner]
    end
    if string.sub(target, 1, 1) == '@' then
        if not is_member(KEYS[2], queue, joined, string.sub(target, 2)) then
            return GONE
        end
        local is_process = string.sub(queue, -1) == '!'
        target = is_process and target .. ' ' .. place_in(KEYS[first + 2]) or ''
    end
    local depth = depth_of(owner, queue, joined, limit)
    if depth >= limit then
        fulls[owner], refusals[owner] = depth, (refusals[owner] or 0) + 1
        return depth
    end
    local version, rest = string.sub(body, 1, 1), string.sub(body, 2)
    redis.call('RPUSH', queue, version .. expires .. ' ' .. target .. '\n' .. rest)
    depths[owner] = depth + 1
    sents[owner] = (sents[owner] or 0) + 1
    return SENT
end

local function count(counts, field)
    local total = 0
    for owner, number in pairs(counts) do
        local counter = KEYS[6 + (owner - 1) * 4]
        redis.call('HINCRBY', counter, field, number)
        redis.call('PEXPIRE', counter, STATISTICS_LIFETIME)
        total = total + number
    end
    if total > 0 then
        redis.call('HINCRBY', KEYS[1], field, total)
        redis.call('PEXPIRE', KEYS[1], STATISTICS_LIFETIME)
    end
end

for message = 1, messages do
    local at = 4 + (message - 1) * 4
    results[message] = push(
        tonumber(ARGV[at]), tonumber(ARGV[at + 1]), ARGV[at + 2], ARGV[bodies + ARGV[at + 3]]
    )
end
-- The queue of a group's member outlives its messages, as evidence that nobody read them.
for owner in pairs(sents) do
    local first = 3 + (owner - 1) * 4
    local belongs = redis.call('EXISTS', KEYS[first + 1]) == 1
    keep(KEYS[first], belongs and expiry + EVIDENCE or expiry)
end
count(sents, 'messages_count')
count(refusals, 'channel_full_count')
return results
