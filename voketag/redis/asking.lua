-- On a cluster: what is known of one address or device, before its scan goes where the product's
-- keys lie. Counts the scan where there is a limit. Gives for how many ms to wait, or nothing, and
-- the bad tokens.
local limit_key, probes_key = KEYS[1], KEYS[2]
local now_ms, limit = tonumber(ARGV[1]), tonumber(ARGV[2])

local known = redis.call('MGET', limit_key, probes_key)
if limit > 0 then
  local wait, counted = window(known[1], now_ms, limit)
  if wait then return {wait, known[2] or '0'} end
  redis.call('SET', limit_key, counted, 'PX', 2 * MINUTE_MS)
end
return {'', known[2] or '0'}
