package main

import (
	"fmt"
	"time"
)

// step: from this many on, this many points. The points are those of voketag/risk/rules.py.
type step struct{ from, points int }

var (
	repeatScans   = []step{{5, 5}, {10, 10}, {25, 15}, {100, 25}}
	manyDevices   = []step{{3, 5}, {4, 15}, {5, 20}, {6, 30}, {10, 40}, {25, 50}}
	manyCountries = []step{{2, 10}, {3, 20}, {4, 40}, {6, 50}}
)

const (
	travelPoints = 30
	travelWithin = time.Hour
	mediumFrom   = 40
	highFrom     = 70
	highest      = 100
)

// history is what Redis remembers of a product's scans before this one.
type history struct {
	scans       int
	firstAt     time.Time // zero: never scanned
	lastAt      time.Time
	lastCountry string
	countries   []string
	devices     int
	knownDevice bool // this device is among them
}

type reason struct {
	code   string
	points int
	detail string
}

type assessment struct {
	verdict, level string
	score          int
	reasons        []reason
	newCountry     bool
}

// assess is the risk score of a scan: the sum over its rules, 100 at most.
func assess(h *history, country string, now time.Time) assessment {
	a := assessment{newCountry: country != "" && !contains(h.countries, country)}
	devices, countries := h.devices, len(h.countries)
	if !h.knownDevice {
		devices++
	}
	if a.newCountry {
		countries++
	}
	a.count("repeat_scans", repeatScans, h.scans+1, "Scanned %d times in all.")
	a.count("many_devices", manyDevices, devices, "Scanned by %d different devices.")
	a.count("many_countries", manyCountries, countries, "Scanned in %d different countries.")
	moved := country != "" && h.lastCountry != "" && country != h.lastCountry
	if moved && now.Sub(h.lastAt) < travelWithin {
		a.add(reason{"impossible_travel", travelPoints, "Scanned in two countries within an hour."})
	}
	if a.score > highest {
		a.score = highest
	}
	switch {
	case a.score >= highFrom:
		a.verdict, a.level = "high_risk", "high"
	case a.score >= mediumFrom:
		a.verdict, a.level = "suspicious", "medium"
	default:
		a.verdict, a.level = "authentic", "low"
	}
	return a
}

func (a *assessment) count(code string, steps []step, count int, sentence string) {
	points := 0
	for _, s := range steps {
		if count < s.from {
			break
		}
		points = s.points
	}
	if points > 0 {
		a.add(reason{code, points, fmt.Sprintf(sentence, count)})
	}
}

func (a *assessment) add(r reason) {
	a.reasons = append(a.reasons, r)
	a.score += r.points
}

func contains(texts []string, text string) bool {
	for _, other := range texts {
		if other == text {
			return true
		}
	}
	return false
}
