-- Queue messages, in their order. Returns for each of them -1, or -2 for an owner that is in the
-- group no more, or the depth of a queue that is full: it takes no other message of this call, so
-- that they keep their order.
-- KEYS: the counter of all channels, the announced processes; for each owner its queue, groups,
-- journal and counter.
-- ARGV: expiry, linger, number of messages; for each message the number of its owner, limit,
-- target ("@" and the group for a member), number of its body; the bodies.
local SENT, GONE = -1, -2

local expiry, evidence, messages = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local bodies = 3 + messages * 4
local expires = now + expiry
local fulls, sents, refusals = {}, {}, {}
local results = {}

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
    if string.byte(target) == 64 then
        if not is_member(KEYS[2], queue, joined, string.sub(target, 2)) then
            return GONE
        end
        target = string.sub(queue, -1) == '!' and target .. ' ' .. place_in(KEYS[first + 2]) or ''
    end
    local depth = queue_up(queue, joined, limit, make_entry(expires, target, body))
    if depth then
        fulls[owner], refusals[owner] = depth, (refusals[owner] or 0) + 1
        return depth
    end
    sents[owner] = (sents[owner] or 0) + 1
    return SENT
end

local function count_all(counts, field)
    local total = 0
    for owner, number in pairs(counts) do
        count(KEYS[6 + (owner - 1) * 4], field, number)
        total = total + number
    end
    if total > 0 then
        count(KEYS[1], field, total)
    end
end

for message = 1, messages do
    local at = message * 4
    results[message] = push(
        tonumber(ARGV[at]), tonumber(ARGV[at + 1]), ARGV[at + 2], ARGV[bodies + ARGV[at + 3]]
    )
end
for owner in pairs(sents) do
    local first = 3 + (owner - 1) * 4
    keep_queue(KEYS[first], KEYS[first + 1], expiry, evidence)
end
count_all(sents, 'messages_count')
count_all(refusals, 'channel_full_count')
return results
