package main

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"strconv"
	"strings"
	"sync"
)

// Tokens as voketag/tokens.py makes them: key id (1 byte), product id (16), HMAC-SHA256 over both
// under a domain label (its first 12 bytes), in Crockford base32.
const (
	alphabet        = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
	macBytes        = 12
	bodyBytes       = 1 + 16
	tokenBytes      = bodyBytes + macBytes
	tokenCharacters = (tokenBytes*8 + 4) / 5
	spareBits       = tokenCharacters*5 - tokenBytes*8
	noDigit         = 0xFF
)

var (
	tokenDomain = []byte("voketag-token-v1\x00")
	digits      = digitTable()
)

func digitTable() (table [256]byte) {
	for i := range table {
		table[i] = noDigit
	}
	for value := range alphabet {
		letter := alphabet[value]
		table[letter] = byte(value)
		table[strings.ToLower(string(letter))[0]] = byte(value)
	}
	for _, typed := range []struct {
		letters string
		meant   byte
	}{{"Oo", 0}, {"IiLl", 1}} {
		for _, letter := range []byte(typed.letters) {
			table[letter] = typed.meant
		}
	}
	return table
}

// macs makes keyed HMAC-SHA256 states and keeps them: a used one costs no set-up of the key.
type macs struct{ pool sync.Pool }

func newMacs(secret []byte) *macs {
	return &macs{sync.Pool{New: func() any { return hmac.New(sha256.New, secret) }}}
}

// sum is the HMAC-SHA256 of the parts, one behind the other.
func (m *macs) sum(parts ...[]byte) (digest [sha256.Size]byte) {
	state := m.pool.Get().(hash.Hash)
	state.Reset()
	for _, part := range parts {
		state.Write(part)
	}
	state.Sum(digest[:0])
	m.pool.Put(state)
	return digest
}

// keyRing holds the keys a token may be signed with, by key id.
type keyRing map[byte]*macs

// parseKeys reads "id:hex,id:hex".
func parseKeys(text string) (keyRing, error) {
	ring := keyRing{}
	for _, item := range strings.Split(text, ",") {
		id, secret, found := strings.Cut(strings.TrimSpace(item), ":")
		number, err := strconv.ParseUint(id, 10, 8)
		if !found || err != nil {
			return nil, errors.New("TOKEN_KEYS: id:hex,id:hex with ids from 0 to 255 is accepted")
		}
		key, err := hex.DecodeString(secret)
		if err != nil {
			return nil, fmt.Errorf("TOKEN_KEYS: the secret of key %d is not hexadecimal", number)
		}
		ring[byte(number)] = newMacs(key)
	}
	return ring, nil
}

// verify gives the product id inside a token we signed.
func (ring keyRing) verify(token string) (product uuid, ok bool) {
	raw, ok := decodeToken(token)
	if !ok {
		return product, false
	}
	key := ring[raw[0]]
	if key == nil {
		return product, false
	}
	mac := key.sum(tokenDomain, raw[:bodyBytes])
	if subtle.ConstantTimeCompare(mac[:macBytes], raw[bodyBytes:]) != 1 {
		return product, false
	}
	copy(product[:], raw[1:bodyBytes])
	return product, true
}

func decodeToken(token string) (raw [tokenBytes]byte, ok bool) {
	if len(token) != tokenCharacters {
		return raw, false
	}
	var bits uint32
	held, at := 0, 0
	for i := 0; i < tokenCharacters; i++ {
		digit := digits[token[i]]
		if digit == noDigit {
			return raw, false
		}
		bits, held = bits<<5|uint32(digit), held+5
		if held >= 8 {
			held -= 8
			raw[at] = byte(bits >> held)
			at++
		}
	}
	// One product and key have exactly one token.
	return raw, bits&(1<<spareBits-1) == 0
}
