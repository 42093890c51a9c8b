package testkit

import "time"

// guests are those among the honest who look like an attack.
type guests struct {
	on   bool
	made int
	seen map[uint32]bool // addresses
}

// due reports whether line i is a guest's: every twentieth.
func (g *guests) due(i int) bool { return g.on && i%20 == 19 }

// next makes the next request of the office or of the crawler, in turn.
func (g *guests) next(s *shop, at time.Time) {
	g.made++
	if g.made%2 == 0 {
		g.office(s, at)
	} else {
		g.crawl(s)
	}
	g.seen[s.hit.address.v4] = true
}

// office makes a request of one of sixty people behind one address. At nine
// o'clock they log in, one after the other, and one in eight mistypes.
func (g *guests) office(s *shop, at time.Time) {
	person := s.rng.IntN(60)
	h := s.from(logAddress{v4: 203<<24 | 113<<8 | 20}, 5000+person)
	h.method, h.status, h.session = "GET", 200, true
	h.bytes, h.millis = 300+s.rng.IntN(40_000), 1+s.rng.IntN(400)
	switch u := s.rng.IntN(100); {
	case u < 30 && at.Hour() == 9 || u < 4:
		h.method, h.path, h.user, h.status = "POST", "/login", 1<<24+person, 302
		if s.rng.IntN(8) == 0 {
			h.status = 401
		}
	case u < 50:
		h.path = s.assets[s.rng.IntN(len(s.assets))]
	case u < 70:
		h.path, h.number = "/products/", 1+s.rng.IntN(40_000)
	default:
		h.path = "/account"
	}
}

// crawl makes a request of a crawler, which reads everything and says who it is.
func (g *guests) crawl(s *shop) {
	h := s.from(logAddress{v4: 198<<24 | 51<<16 | 100<<8 | 240 + uint32(g.made)/2%16}, 6000)
	h.method, h.path, h.number, h.status, h.bytes, h.millis = "GET", "/products/", 1+g.made%40_000, 200, 14_000, 20
	h.agent, h.session, h.language, h.referer = "Mozilla/5.0 (compatible; "+CrawlerName+"/1.0; +https://example.com/bot)", false, "", "-"
	if g.made%200 == 1 {
		h.path, h.number = "/robots.txt", -1
	}
}
