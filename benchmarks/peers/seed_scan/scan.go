package main

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v4"
	"github.com/jackc/pgx/v4/pgxpool"
)

const (
	bodyMaxBytes     = 8 * 1024
	fieldMaxBytes    = 200
	deviceCharacters = 16
	retryAfter       = time.Second
)

type scanRequest struct {
	Token   string `json:"token"`
	Country string `json:"country"`
	Device  struct {
		InstallID string `json:"install_id"`
		Model     string `json:"model"`
		Screen    string `json:"screen"`
		Timezone  string `json:"timezone"`
	} `json:"device"`
}

// scan is what a request became once its token was found to be ours.
type scan struct {
	id          uuid
	productID   uuid
	token       string
	country     string // "" where not known
	ipHash      string // HMAC-SHA256, hexadecimal
	fingerprint string // the same
	at          time.Time
}

// device is what tells a product's devices apart.
func (s *scan) device() string { return s.fingerprint[:deviceCharacters] }

// service answers scans: every step within the request.
type service struct {
	tokens   keyRing
	personal *macs
	entropy  *entropy
	cache    *cache
	database *pgxpool.Pool
}

var buffers = sync.Pool{New: func() any { b := make([]byte, 0, 2048); return &b }}

func (s *service) postScan(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost {
		refuse(w, http.StatusMethodNotAllowed, "POST is accepted.", 0)
		return
	}
	request, status, detail := readRequest(w, r)
	if status != 0 {
		refuse(w, status, detail, 0)
		return
	}
	buffer := buffers.Get().(*[]byte)
	defer buffers.Put(buffer)
	body, status, err := s.answer(r, request, (*buffer)[:0])
	*buffer = body[:0]
	switch {
	case err != nil:
		log.Printf("scan: %v", err)
		refuse(w, http.StatusServiceUnavailable, "Try again.", retryAfter)
	case status == http.StatusTooManyRequests:
		refuse(w, status, "Too many scans from this address.", limitWindow)
	default:
		respond(w, status, body)
	}
}

func readRequest(w http.ResponseWriter, r *http.Request) (q scanRequest, status int, detail string) {
	buffer := buffers.Get().(*[]byte)
	defer buffers.Put(buffer)
	data, err := readAll(http.MaxBytesReader(w, r.Body, bodyMaxBytes), (*buffer)[:0])
	*buffer = data[:0]
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return q, http.StatusRequestEntityTooLarge, "8 KiB are accepted."
	case err != nil || json.Unmarshal(data, &q) != nil:
		return q, http.StatusBadRequest, "A JSON object with a token is accepted."
	case q.Token == "" || !isCountry(q.Country) || !q.short():
		return q, http.StatusUnprocessableEntity, "A token, a country such as BR and short texts are accepted."
	}
	return q, 0, ""
}

// readAll is io.ReadAll into a buffer that is there already.
func readAll(from io.Reader, into []byte) ([]byte, error) {
	for {
		if len(into) == cap(into) {
			into = append(into, 0)[:len(into)]
		}
		n, err := from.Read(into[len(into):cap(into)])
		into = into[:len(into)+n]
		if err == io.EOF {
			return into, nil
		}
		if err != nil {
			return into, err
		}
	}
}

func isCountry(code string) bool {
	if code == "" {
		return true
	}
	upper := func(c byte) bool { return 'A' <= c && c <= 'Z' }
	return len(code) == 2 && upper(code[0]) && upper(code[1])
}

func (q *scanRequest) short() bool {
	d := &q.Device
	return len(d.InstallID) <= fieldMaxBytes && len(d.Model) <= fieldMaxBytes &&
		len(d.Screen) <= fieldMaxBytes && len(d.Timezone) <= fieldMaxBytes
}

// answer takes a scan through the seven steps, and writes the body behind b.
func (s *service) answer(r *http.Request, q scanRequest, b []byte) ([]byte, int, error) {
	now := time.Now()
	scanID, err := s.entropy.uuid7(now)
	if err != nil {
		return b, 0, err
	}
	productID, ok := s.tokens.verify(q.Token) // step 1
	if !ok {
		return appendNotRecognised(b, scanID), http.StatusOK, nil
	}
	scan := &scan{id: scanID, productID: productID, token: q.Token, country: q.Country, at: now}
	scan.ipHash, scan.fingerprint = s.hashes(r, &q) // step 4: on the CPU, so before anything waits
	seen, err := s.cache.look(scan)                 // steps 2 and 3
	switch {
	case err != nil:
		return b, 0, err
	case seen.limited:
		return b, http.StatusTooManyRequests, nil
	case seen.product == nil:
		if seen.product, err = s.lookUp(r.Context(), q.Token); err != nil {
			return b, 0, err
		}
		if seen.product == nil {
			return appendNotRecognised(b, scanID), http.StatusOK, nil
		}
	}
	assessed := assess(&seen.history, q.Country, now)   // step 5
	if err := s.log(scan, assessed.score); err != nil { // step 6
		return b, 0, err
	}
	// Step 7. The scan is stored: that a counter missed it is no reason to refuse it.
	if err := s.cache.count(scan, &seen.history, assessed.newCountry); err != nil {
		log.Printf("counters: %v", err)
	}
	return appendAnswer(b, scan, seen.product, &seen.history, &assessed), http.StatusOK, nil
}

// hashes are what is kept of the address and the device.
func (s *service) hashes(r *http.Request, q *scanRequest) (ip, fingerprint string) {
	host, _, _ := net.SplitHostPort(r.RemoteAddr)
	d := &q.Device
	device := "install\x00" + d.InstallID
	if d.InstallID == "" {
		agent := r.Header.Get("User-Agent")
		device = strings.Join([]string{d.Model, d.Screen, d.Timezone, agent, host}, "\x00")
	}
	address := s.personal.sum([]byte("address\x00"), []byte(host))
	digest := s.personal.sum([]byte("device\x00"), []byte(device))
	return hex.EncodeToString(address[:]), hex.EncodeToString(digest[:])
}

// lookUp finds a product that Redis does not hold; nil where there is none.
func (s *service) lookUp(ctx context.Context, token string) ([]byte, error) {
	var id, batch uuid
	var p product
	row := s.database.QueryRow(ctx, "product_by_token", token)
	err := row.Scan((*[16]byte)(&id), (*[16]byte)(&batch), &p.SKU, &p.Name, &p.Serial)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	p.ProductID, p.BatchID = id.String(), batch.String()
	data, err := json.Marshal(p)
	if err != nil {
		return nil, err
	}
	return data, s.cache.keep(token, data)
}

// log commits the event. Postgres itself ends what takes too long: a context that can end would cost
// a watch over each statement, and the connection whenever a phone goes away.
func (s *service) log(scan *scan, score int) error {
	var country any
	if scan.country != "" {
		country = scan.country
	}
	_, err := s.database.Exec(context.Background(), "insert_scan", [16]byte(scan.id), [16]byte(scan.productID),
		scan.ipHash, scan.fingerprint, int32(score), country, scan.at)
	return err
}
