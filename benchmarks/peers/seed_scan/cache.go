package main

import (
	"strconv"
	"time"

	"github.com/gomodule/redigo/redis"
)

const (
	productTTL    = 3600 // seconds
	limitWindow   = time.Minute
	counterTTL    = 3 * 24 * 3600 // seconds
	redisPoolSize = 64            // those who share round trips use three of them
	redisTimeout  = 2 * time.Second
)

func openRedis(url string) *redis.Pool {
	return &redis.Pool{
		MaxIdle:   redisPoolSize,
		MaxActive: redisPoolSize,
		Wait:      true,
		Dial: func() (redis.Conn, error) {
			return redis.DialURL(url,
				redis.DialConnectTimeout(redisTimeout),
				redis.DialReadTimeout(redisTimeout),
				redis.DialWriteTimeout(redisTimeout))
		},
	}
}

// cache is what the service keeps in Redis.
type cache struct {
	pool   *redis.Pool
	limit  int // scans a minute for one address, 0 for no limit
	looks  exchange
	counts exchange
}

func newCache(pool *redis.Pool, limit int, alone bool) *cache {
	return &cache{
		pool:   pool,
		limit:  limit,
		looks:  exchange{pool: pool, alone: alone},
		counts: exchange{pool: pool, alone: alone},
	}
}

// found is what one round trip before the scan tells.
type found struct {
	limited bool
	product []byte // JSON, nil where Redis does not hold it
	history history
}

// look asks for the rate limit, the product and its history: steps 2 and 3, and what step 5 needs.
func (c *cache) look(s *scan) (f found, err error) {
	err = c.looks.do(
		func(connection redis.Conn) { c.ask(connection, s) },
		func(connection redis.Conn) (err error) {
			f, err = c.receive(connection)
			return err
		})
	return f, err
}

func (c *cache) ask(connection redis.Conn, s *scan) {
	product := s.productID.String()
	if c.limit > 0 {
		key, now := "rate:ip:"+s.ipHash, s.at.UnixMicro()
		connection.Send("ZREMRANGEBYSCORE", key, 0, now-limitWindow.Microseconds())
		connection.Send("ZADD", key, now, s.id[:])
		connection.Send("EXPIRE", key, int(limitWindow.Seconds()))
		connection.Send("ZCARD", key)
	}
	connection.Send("GET", "product:"+s.token)
	connection.Send("GET", "stats:scans:product:"+product)
	connection.Send("HMGET", "history:"+product, "first", "last", "country")
	connection.Send("SMEMBERS", "countries:"+product)
	connection.Send("SCARD", "devices:"+product)
	connection.Send("SISMEMBER", "devices:"+product, s.device())
}

func (c *cache) receive(connection redis.Conn) (found, error) {
	limited, err := c.receiveLimit(connection)
	if err != nil {
		return found{}, err
	}
	data, err := redis.Bytes(connection.Receive())
	if err != nil && err != redis.ErrNil {
		return found{}, err
	}
	known, err := receiveHistory(connection)
	return found{limited, data, known}, err
}

func (c *cache) receiveLimit(connection redis.Conn) (bool, error) {
	if c.limit == 0 {
		return false, nil
	}
	for i := 0; i < 3; i++ {
		if _, err := connection.Receive(); err != nil {
			return false, err
		}
	}
	count, err := redis.Int(connection.Receive())
	return count > c.limit, err
}

func receiveHistory(connection redis.Conn) (h history, err error) {
	if h.scans, err = redis.Int(connection.Receive()); err != nil && err != redis.ErrNil {
		return h, err
	}
	fields, err := redis.Strings(connection.Receive())
	if err != nil {
		return h, err
	}
	h.firstAt, h.lastAt, h.lastCountry = timeOf(fields[0]), timeOf(fields[1]), fields[2]
	if h.countries, err = redis.Strings(connection.Receive()); err != nil {
		return h, err
	}
	if h.devices, err = redis.Int(connection.Receive()); err != nil {
		return h, err
	}
	h.knownDevice, err = redis.Bool(connection.Receive())
	return h, err
}

// timeOf reads milliseconds since the epoch; the zero time where there are none.
func timeOf(text string) time.Time {
	ms, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return time.Time{}
	}
	return time.UnixMilli(ms)
}

// keep puts a product, as JSON, where the next look finds it.
func (c *cache) keep(token string, product []byte) error {
	connection := c.pool.Get()
	defer connection.Close()
	_, err := connection.Do("SET", "product:"+token, product, "EX", productTTL)
	return err
}

// count is step 7: the counters, and the history that the next scan of this product meets.
func (c *cache) count(s *scan, h *history, newCountry bool) error {
	today := "stats:scans:" + s.at.UTC().Format("2006-01-02")
	var scans, others int
	err := c.counts.do(
		func(connection redis.Conn) {
			connection.Send("INCR", today)
			others = remember(connection, s, h, newCountry)
		},
		func(connection redis.Conn) (err error) {
			scans, err = redis.Int(connection.Receive())
			for ; err == nil && others > 0; others-- {
				_, err = connection.Receive()
			}
			return err
		})
	if err == nil && scans == 1 {
		connection := c.pool.Get()
		defer connection.Close()
		_, err = connection.Do("EXPIRE", today, counterTTL)
	}
	return err
}

// remember sends what is counted of one product; the number of commands.
func remember(connection redis.Conn, s *scan, h *history, newCountry bool) int {
	product, ms, sent := s.productID.String(), s.at.UnixMilli(), 3
	connection.Send("INCR", "stats:scans:product:"+product)
	connection.Send("ZINCRBY", "top:products", 1, product)
	if h.firstAt.IsZero() {
		connection.Send("HSETNX", "history:"+product, "first", ms)
		sent++
	}
	if s.country == "" {
		connection.Send("HSET", "history:"+product, "last", ms)
	} else {
		connection.Send("HSET", "history:"+product, "last", ms, "country", s.country)
	}
	if newCountry {
		connection.Send("SADD", "countries:"+product, s.country)
		sent++
	}
	if !h.knownDevice {
		connection.Send("SADD", "devices:"+product, s.device())
		sent++
	}
	return sent
}
