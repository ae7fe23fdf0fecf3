package main

import (
	"bufio"
	"crypto/rand"
	"encoding/hex"
	"io"
	"sync"
	"time"
)

type uuid [16]byte

// entropy asks the system for random bytes a page at a time.
type entropy struct {
	mutex  sync.Mutex
	source *bufio.Reader
}

func newEntropy() *entropy {
	return &entropy{source: bufio.NewReaderSize(rand.Reader, 4096)}
}

// uuid7 gives a UUIDv7 (RFC 9562), so that new rows land at the end of an index.
func (e *entropy) uuid7(now time.Time) (id uuid, err error) {
	ms := uint64(now.UnixMilli())
	for i := 0; i < 6; i++ {
		id[i] = byte(ms >> (40 - 8*i))
	}
	e.mutex.Lock()
	_, err = io.ReadFull(e.source, id[6:])
	e.mutex.Unlock()
	id[6] = id[6]&0x0F | 0x70
	id[8] = id[8]&0x3F | 0x80
	return id, err
}

// append writes the id as text.
func (id uuid) append(text []byte) []byte {
	var hexadecimal [32]byte
	hex.Encode(hexadecimal[:], id[:])
	for _, part := range [...][2]int{{0, 8}, {8, 12}, {12, 16}, {16, 20}, {20, 32}} {
		if part[0] > 0 {
			text = append(text, '-')
		}
		text = append(text, hexadecimal[part[0]:part[1]]...)
	}
	return text
}

func (id uuid) String() string { return string(id.append(make([]byte, 0, 36))) }
