package redislimit

import "github.com/redis/rueidis"

// ticks reads the clock of the limits into now, in microseconds. It follows the server's wall clock forwards by no more than the
// caller has seen pass since its own last call, and never backwards, so that a step of the wall clock neither opens nor freezes
// a counter. KEYS[1] has two numbers: the wall time and the clock's time of the last script.
const ticks = `
local t = redis.call('TIME')
local wall = (t[1] - 1767225600) * 1000000 + t[2]
local now = wall
local last = redis.call('GET', KEYS[1])
if last and #last == 16 then
  local w, l = struct.unpack('>dd', last)
  local d = math.max(wall - w, 0)
  local passed = tonumber(ARGV[1])
  if passed then d = math.min(d, passed) end
  now = l + d
end
redis.call('SET', KEYS[1], struct.pack('>dd', wall, now), 'PX', 3456000000)
`

// takeScript judges a batch of calls. KEYS[2…] are counters. ARGV: 1 microseconds passed, 2 plans of 33 bytes (algorithm, calls,
// microseconds, burst, milliseconds to live), 3 calls: how many counters, and of each the place of its key and of its plan.
// The answer has 20 bytes for each counter of each call: remaining (-1: refused), microseconds to the reset or to wait until the
// retry, microseconds to hold the call back. A counter is
//
//	a bucket        its level, in calls, and when it had it
//	a window ≤ 16   the time of each call, oldest first
//	a window above  the number of the newest piece of time, the calls in all, how many pieces back the oldest are (1: the
//	                newest), and the calls in the newest and in each of the 15 before it; only a new piece has these read
//
// Times ahead of now come from a clock that was lost; they are taken for now. Counters that did not change are not written.
const takeScript = ticks + `
local raw = redis.call('MGET', unpack(KEYS))
local unpack_, pack, floor, ceil, max, byte = struct.unpack, struct.pack, math.floor, math.ceil, math.max, string.byte

local plans = {}
for i = 1, #ARGV[2] / 33 do
  local alg, calls, per, burst, ttl = unpack_('>Bdddd', ARGV[2], (i - 1) * 33 + 1)
  local p = {ttl = ttl, calls = calls, per = per, kind = 1, leaky = alg == 2}
  if alg > 0 then
    p.rate, p.size = calls / per, burst
    if p.leaky then p.size = burst + 1 end
  elseif calls <= 16 then
    p.kind = 2
  else
    p.kind, p.piece = 3, ceil(per / 15)
    p.current = floor(now / p.piece)
  end
  plans[i] = p
end

local function read(v, p)
  v = v or ''
  if p.kind == 1 then
    if #v ~= 16 then return {0} end
    local level, at = unpack_('>dd', v)
    return {max(level - max(now - at, 0) * p.rate, 0)}
  end
  if p.kind == 2 then
    local s = {}
    for i = 1, #v - 7, 8 do
      local at = math.min(unpack_('>d', v, i), now)
      if at > now - p.per then s[#s + 1] = at end
    end
    return s
  end
  if #v ~= 77 then return {0, 1, 0, string.rep('\0', 60)} end
  local number, sum, oldest, newest = unpack_('>dI4BI4', v)
  local gone = max(p.current - number, 0)
  if gone == 0 then return {sum, oldest, newest, v:sub(18)} end
  if gone > 15 then return {0, 1, 0, string.rep('\0', 60)} end
  local all = v:sub(14)
  for i = 17 - gone, oldest do sum = sum - unpack_('>I4', all, 4 * i - 3) end
  oldest = math.min(oldest + gone, 16)
  all = string.rep('\0', 4 * gone) .. all:sub(1, 64 - 4 * gone)
  if sum == 0 then oldest = 1 end
  while oldest > 1 and unpack_('>I4', all, 4 * oldest - 3) == 0 do oldest = oldest - 1 end
  return {sum, oldest, 0, all:sub(5)}
end

local function write(s, p)
  if p.kind == 1 then return pack('>dd', s[1], now) end
  if p.kind == 2 then
    local parts = {}
    for i = 1, #s do parts[i] = pack('>d', s[i]) end
    return table.concat(parts)
  end
  return pack('>dI4BI4', p.current, s[1], s[2], s[3]) .. s[4]
end

-- look returns remaining, or -1, and the microseconds to the reset and to hold back
local function look(s, p)
  if p.kind == 1 then
    local room = p.size - s[1] + 1e-6
    if room < 1 then return -1, (1 - room + 1e-6) / p.rate + 1, 0 end
    local left = floor(room)
    local wait = 0
    if p.leaky and s[1] > 1e-6 then wait = s[1] / p.rate end
    return left - 1, (left - room + 1) / p.rate, wait
  end
  if p.kind == 2 then
    local used = #s
    local reset = (s[1] or now) + p.per - now
    if used >= p.calls then return -1, reset, 0 end
    return p.calls - used - 1, reset, 0
  end
  local reset = (p.current - s[2] + 17) * p.piece - now
  if s[1] >= p.calls then return -1, reset, 0 end
  return p.calls - s[1] - 1, reset, 0
end

local states, changed, out = {}, {}, {}
local calls, at = ARGV[3], 1
while at <= #calls do
  local n, ok, from = byte(calls, at), true, at + 1
  at = from + 3 * n
  for i = from, at - 3, 3 do
    local h, l, q = byte(calls, i, i + 2)
    local k, p = h * 256 + l + 2, plans[q + 1]
    local s = states[k]
    if not s then
      s = read(raw[k], p)
      states[k] = s
    end
    local remaining, reset, wait = look(s, p)
    if remaining < 0 then ok = false end
    out[#out + 1] = pack('>i4dd', remaining, reset, wait)
  end
  if ok then
    for i = from, at - 3, 3 do
      local h, l, q = byte(calls, i, i + 2)
      local k, p = h * 256 + l + 2, plans[q + 1]
      local s = states[k]
      changed[k] = p
      if p.kind == 1 then s[1] = s[1] + 1
      elseif p.kind == 2 then s[#s + 1] = now
      else s[1], s[3] = s[1] + 1, s[3] + 1 end
    end
  end
end
for k, p in pairs(changed) do
  redis.call('SET', KEYS[k], write(states[k], p), 'PX', p.ttl)
end
return table.concat(out)`

// beatScript says that an instance is there and returns how many are. KEYS[2] has when each was last there; who was not for
// ARGV[3] microseconds is gone.
const beatScript = ticks + `
redis.call('ZADD', KEYS[2], now, ARGV[2])
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', now - ARGV[3])
redis.call('PEXPIRE', KEYS[2], math.ceil(ARGV[3] / 1000) + 60000)
return redis.call('ZCARD', KEYS[2])`

type scripts struct{ take, beat *rueidis.Lua }

func newScripts() scripts {
	return scripts{rueidis.NewLuaScript(takeScript), rueidis.NewLuaScript(beatScript)}
}

// Commands returns what the limits and their scripts need the server to allow, for redis.Options.Commands.
func Commands() []string {
	return []string{"EVALSHA", "EVAL", "GET", "MGET", "SET", "TIME", "ZADD", "ZREM", "ZREMRANGEBYSCORE", "ZCARD", "PEXPIRE"}
}
