package main

import (
	"encoding/json"
	"net/http"
	"strconv"
	"time"
)

var jsonType = []string{"application/json; charset=utf-8"}

const rfc3339Millis = "2006-01-02T15:04:05.000Z07:00"

// product as a person sees it.
type product struct {
	ProductID      string  `json:"product_id"`
	BatchID        string  `json:"batch_id"`
	SKU            string  `json:"sku"`
	Name           string  `json:"name"`
	Serial         string  `json:"serial"`
	ManufacturedAt *string `json:"manufactured_at"`
}

// appendAnswer writes the body for an accepted scan. What stands in it as text is ours, and needs
// no escapes: the product is JSON already, a country is two letters.
func appendAnswer(b []byte, s *scan, productJSON []byte, h *history, a *assessment) []byte {
	b = append(b, `{"scan_id":"`...)
	b = s.id.append(b)
	b = append(b, `","verdict":"`...)
	b = append(b, a.verdict...)
	b = append(b, `","product":`...)
	b = append(b, productJSON...)
	b = append(b, `,"risk":{"score":`...)
	b = strconv.AppendInt(b, int64(a.score), 10)
	b = append(b, `,"level":"`...)
	b = append(b, a.level...)
	b = append(b, `","reasons":[`...)
	for i, r := range a.reasons {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, `{"code":"`...)
		b = append(b, r.code...)
		b = append(b, `","points":`...)
		b = strconv.AppendInt(b, int64(r.points), 10)
		b = append(b, `,"detail":"`...)
		b = append(b, r.detail...)
		b = append(b, `"}`...)
	}
	b = append(b, `]},"history":{"scans":`...)
	b = strconv.AppendInt(b, int64(h.scans+1), 10)
	b = append(b, `,"first_scanned_at":"`...)
	first := h.firstAt
	if first.IsZero() {
		first = s.at
	}
	b = first.UTC().AppendFormat(b, rfc3339Millis)
	b = append(b, `","countries":`...)
	b = appendCountries(b, h.countries, s.country, a.newCountry)
	return append(b, "}}"...)
}

func appendCountries(b []byte, known []string, country string, isNew bool) []byte {
	b = append(b, '[')
	for i, code := range known {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(append(append(b, '"'), code...), '"')
	}
	if isNew {
		if len(known) > 0 {
			b = append(b, ',')
		}
		b = append(append(append(b, '"'), country...), '"')
	}
	return append(b, ']')
}

// appendNotRecognised writes the one body for forged and for unknown tokens.
func appendNotRecognised(b []byte, scanID uuid) []byte {
	b = append(b, `{"scan_id":"`...)
	b = scanID.append(b)
	return append(b, `","verdict":"not_recognised","product":null,"risk":null,"history":null}`...)
}

func respond(w http.ResponseWriter, status int, body []byte) {
	w.Header()["Content-Type"] = jsonType
	w.WriteHeader(status)
	_, _ = w.Write(body) // a phone that went away wants no answer
}

// refuse answers with what is wrong and what is accepted.
func refuse(w http.ResponseWriter, status int, detail string, retryAfter time.Duration) {
	if retryAfter > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int(retryAfter.Seconds())))
	}
	body, _ := json.Marshal(map[string]any{"status": status, "detail": detail})
	respond(w, status, body)
}
