-- One scan, accepted or not, in one step. See voketag/redis/intake.py, which names keys and arguments;
-- window.lua stands before this.
local stream, product_key, history_key, tail_key = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local reporters_key, recalled_key, today_key = KEYS[5], KEYS[6], KEYS[7]
local replay_key, limit_key, address_key, device_key = KEYS[8], KEYS[9], KEYS[10], KEYS[11]
local event, sighting, product, history = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local now_ms, limit, replay_s = tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7])
local product_ttl_s, history_ttl_s, only_before = ARGV[8], ARGV[9], ARGV[10] == '1'
local TAIL, TAIL_TTL_S, COUNTER_TTL_S = 64, 86400, 259200

-- The caller's own scan id came by before: the same facts again, nothing counted. The key is written
-- again as it is, for WAIT sees the writes of its own connection alone, and the first answer may have
-- been that too few replicas hold the scan.
if replay_s > 0 then
  local replay = redis.call('GET', replay_key)
  if replay then
    redis.call('PEXPIRE', replay_key, redis.call('PTTL', replay_key))
    return {'replay', unpack(cmsgpack.unpack(replay))}
  end
end
if only_before then return {'miss'} end

-- On a cluster the keys of addresses and devices lie elsewhere: they were asked before (asking.lua),
-- and what they said comes as arguments.
local known
if limit_key then
  known = redis.call('MGET', limit_key, address_key, device_key, product_key, history_key)
else
  if ARGV[11] ~= '' then return {'limited', ARGV[11]} end
  local own = redis.call('MGET', product_key, history_key)
  known = {false, ARGV[12] ~= '0' and ARGV[12], ARGV[13] ~= '0' and ARGV[13], own[1], own[2]}
  limit = 0
end

local counted
if limit > 0 then
  local wait
  wait, counted = window(known[1], now_ms, limit)
  if wait then return {'limited', wait} end
end

local before = known[5] or ''
if product == '' then
  product = known[4]
  if not product then return {'miss'} end
elseif product == 'unknown' then
  product = ''
else
  redis.call('SET', product_key, product, 'EX', product_ttl_s)
  if history ~= '' and before == '' then
    redis.call('SET', history_key, history, 'EX', history_ttl_s)
    before = history
  end
end

local tail = ''
history = ''
local reporters, recalled = 0, 'false'
if product ~= '' then
  history = before
  local waiting = redis.call('LRANGE', tail_key, 0, -1)
  if #waiting > 0 then tail = '[' .. table.concat(waiting, ',') .. ']' end
  reporters = redis.call('SCARD', reporters_key)
  -- A cached product starts with the 36 characters of its batch id.
  if redis.call('SISMEMBER', recalled_key, string.sub(product, 1, 36)) == 1 then
    recalled = 'true'
  end
  product = string.sub(product, 37)
end
local signals = ''
if reporters > 0 or recalled == 'true' or known[2] or known[3] then
  signals = string.format(
    '{"reporters":%d,"recalled":%s,"address_bad_tokens":%d,"device_bad_tokens":%d}',
    reporters, recalled, tonumber(known[2] or 0), tonumber(known[3] or 0))
end

local traceparent = ARGV[14]
if traceparent then
  redis.call('XADD', stream, '*', 'v', '1', 'event', event, 'product', product, 'history', history,
             'tail', tail, 'signals', signals, 'traceparent', traceparent)
else
  redis.call('XADD', stream, '*', 'v', '1', 'event', event, 'product', product,
             'history', history, 'tail', tail, 'signals', signals)
end
if counted then redis.call('SET', limit_key, counted, 'PX', 2 * MINUTE_MS) end
if redis.call('INCR', today_key) == 1 then redis.call('EXPIRE', today_key, COUNTER_TTL_S) end
if product ~= '' then
  -- Scored scans leave from the front, so that the newest are all that is ever needed.
  local waiting = redis.call('RPUSH', tail_key, sighting)
  if waiting > TAIL then redis.call('LTRIM', tail_key, -TAIL, -1) end
  if waiting == 1 or waiting > TAIL then redis.call('EXPIRE', tail_key, TAIL_TTL_S) end
end
if replay_s > 0 then
  redis.call('SET', replay_key, cmsgpack.pack({event, product, history, tail, signals}),
             'EX', replay_s)
end
return {'accepted', product, history, tail, signals}
