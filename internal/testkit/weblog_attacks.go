package testkit

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// The attacks that a log can hold.
const (
	Stuffing   = "stuffing"     // one address tries one account after the other
	LowAndSlow = "low-and-slow" // hundreds of addresses with one client, a few tries each
	Scraper    = "scraper"      // one session reads all products in order
)

// Attacks lists them.
var Attacks = []string{Stuffing, LowAndSlow, Scraper}

// attack is an attack under way.
type attack struct {
	truth Attack
	from  time.Duration
	every time.Duration
	count int
	made  int
	send  func(a *attack, s *shop)
}

// schedule says when which attack sends.
type schedule struct{ attacks []*attack }

func newSchedule(opt LogOptions, span time.Duration) (*schedule, error) {
	s := &schedule{}
	most := opt.Lines / 10 / max(1, len(opt.Attacks))
	for _, name := range opt.Attacks {
		a := &attack{truth: Attack{Name: name}}
		var long time.Duration
		switch name {
		case Stuffing:
			a.from, long, a.count, a.send = span*3/10, min(20*time.Minute, span/5), 600, sendStuffing
			a.truth.Endpoint = "POST /login"
		case LowAndSlow:
			a.from, long, a.count, a.send = span/10, span*8/10, 900, sendLowAndSlow
			a.truth.Endpoint, a.truth.JA4 = "POST /login", "t13d1715h1_5b57614c22b0_3d5424432f57"
		case Scraper:
			a.from, long, a.count, a.send = span/2, min(30*time.Minute, span*3/10), 6000, sendScraper
			a.truth.Endpoint = "GET /products/{id}"
		default:
			return nil, fmt.Errorf("attack %q, must be one of %s", name, strings.Join(Attacks, ", "))
		}
		if opt.ToEnd {
			a.from = span - long
		}
		a.count = min(a.count, most)
		a.every = long / time.Duration(max(1, a.count))
		s.attacks = append(s.attacks, a)
	}
	return s, nil
}

// due returns the attack whose next request is due, or nil.
func (s *schedule) due(after time.Duration) *attack {
	for _, a := range s.attacks {
		if a.made < a.count && after >= a.from+time.Duration(a.made)*a.every {
			return a
		}
	}
	return nil
}

// next makes the attack's next request.
func (a *attack) next(s *shop, at time.Time) {
	s.hit.method, s.hit.bytes, s.hit.millis = "POST", 512, 35
	a.send(a, s)
	if a.truth.Lines == 0 {
		a.truth.First = at
	}
	a.truth.Last = at
	a.truth.Lines++
	if s.hit.status == 401 {
		a.truth.Failed++
	}
	if from := string(s.hit.address.append(nil)); !slices.Contains(a.truth.Addresses, from) {
		a.truth.Addresses = append(a.truth.Addresses, from)
	}
	a.made++
}

// from dresses the next request as a client that no visitor is.
func (s *shop) from(address logAddress, client int) *hit {
	s.dress(1<<24 + client)
	s.hit.address, s.hit.client = address, allClients+client
	return &s.hit
}

func sendStuffing(a *attack, s *shop) {
	h := s.from(logAddress{v4: 203<<24 | 113<<8 | 66}, 1)
	h.path, h.status, h.user, h.session = "/login", 401, 1<<25+a.made, false
	if a.made%97 == 96 {
		h.status = 302
	}
}

func sendLowAndSlow(a *attack, s *shop) {
	// 300 addresses come round again and again; every one has another agent.
	n := a.made % 300
	h := s.from(logAddress{v4: 192<<24 | 2<<8 | uint32(n)}, 100+n)
	if n >= 256 {
		h.address = logAddress{v4: 198<<24 | 51<<16 | 100<<8 | uint32(n-256)}
	}
	h.path, h.status, h.user, h.session = "/login", 401, 1<<26+a.made, false
	h.ja4 = a.truth.JA4
	if a.made%150 == 149 {
		h.status = 302
	}
}

func sendScraper(a *attack, s *shop) {
	h := s.from(logAddress{v4: 203<<24 | 113<<8 | 99}, 2)
	h.method, h.path, h.number, h.status, h.bytes = "GET", "/products/", 1+a.made, 200, 14_000
}
