package main

import (
	"sync"

	"github.com/gomodule/redigo/redis"
)

// exchange lets requests share round trips to Redis: what comes while one is under way goes into
// the next. Where they are alone, each request makes its own, on a connection of the pool.
type exchange struct {
	pool    *redis.Pool
	alone   bool
	mutex   sync.Mutex
	waiting []*call
	sending bool
}

// call is what one request sends, and how it reads the replies to that.
type call struct {
	send    func(redis.Conn)
	receive func(redis.Conn) error
	done    chan error
}

// do returns when the replies have been read. An error is that of any call of the same round trip.
func (e *exchange) do(send func(redis.Conn), receive func(redis.Conn) error) error {
	c := &call{send, receive, make(chan error, 1)}
	if e.alone {
		e.roundTrip([]*call{c})
		return <-c.done
	}
	e.mutex.Lock()
	e.waiting = append(e.waiting, c)
	idle := !e.sending
	e.sending = true
	e.mutex.Unlock()
	if idle {
		go e.send()
	}
	return <-c.done
}

// send makes round trips until nobody waits for one.
func (e *exchange) send() {
	for {
		e.mutex.Lock()
		calls := e.waiting
		e.waiting = nil
		e.sending = len(calls) > 0
		e.mutex.Unlock()
		if len(calls) == 0 {
			return
		}
		e.roundTrip(calls)
	}
}

func (e *exchange) roundTrip(calls []*call) {
	connection := e.pool.Get()
	defer connection.Close()
	for _, c := range calls {
		c.send(connection) // what fails here fails in Flush
	}
	err := connection.Flush()
	for _, c := range calls {
		if err == nil {
			err = c.receive(connection) // behind an error nobody knows whose reply the next one is
		}
		c.done <- err
	}
}
