package testkit

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"time"

	"weir/ingest"
)

// StreamOptions says what a random stream holds. Shares are of all events.
type StreamOptions struct {
	Events     int
	Partitions int
	Start      int64         // Unix second of the first event; 0: 2026-01-05T07:58:20Z
	Jitter     time.Duration // how far out of order lines are at most
	Late       float64       // up to five minutes older than Jitter allows
	Dropped    float64       // hours old
	Future     float64       // days ahead, or in 2099
	Garbage    float64       // unreadable lines
	Refused    bool          // points answer some of the attacks
	Appended   bool          // records have append times, and some times are ahead of them
	Calm       bool          // no gap longer than some minutes
	// Wide draws values from pools of thousands: keys then have more distinct
	// values than are kept exactly. Otherwise no key has more than 80.
	Wide bool
}

// Stream returns a random stream of lines of AppendLine, the same for the same
// seed and options. The lines do not depend on Partitions, only who gets which.
func Stream(seed uint64, opt StreamOptions) [][]ingest.MemoryRecord {
	if opt.Start == 0 {
		opt.Start = 1767599900
	}
	g := &stream{
		rng:  rand.New(rand.NewPCG(seed, 1)),
		deal: rand.New(rand.NewPCG(seed, 2)),
		opt:  opt,
		now:  opt.Start * int64(time.Second),
		out:  make([][]ingest.MemoryRecord, max(1, opt.Partitions)),
		next: make([]int64, max(1, opt.Partitions)),
	}
	g.ips, g.names = 24, 40
	if opt.Wide {
		g.ips, g.names = 2000, 5000
	}
	for g.made < opt.Events {
		g.episode()
	}
	return g.out
}

// stream is what a random stream is made with.
type stream struct {
	rng, deal  *rand.Rand
	opt        StreamOptions
	now        int64 // arrival time of the next line
	made       int
	out        [][]ingest.MemoryRecord
	next       []int64 // the offset of each partition's next line
	ips, names int
}

// request is an event of a stream, as text.
type request struct {
	ip, asn, country          string
	method, endpoint, kind    string
	item, path                string
	fingerprint, agent        string
	credential, session       string
	status, outcome, refused  string
	bytes, duration, language string
}

// address returns the i-th address of the stream's population; some are IPv6.
func address(i int) string {
	switch {
	case i%5 == 4:
		return fmt.Sprintf("2001:db8:%x:%x::%x", i%3, i/5, i)
	case i%5 == 3:
		return fmt.Sprintf("203.0.113.%d", i%256)
	case i >= 256:
		return fmt.Sprintf("198.18.%d.%d", i/256, i%256)
	}
	return fmt.Sprintf("198.51.100.%d", i)
}

var countries = []string{"DE", "FR", "US"}

func (g *stream) one(of ...string) string { return of[g.rng.IntN(len(of))] }

func (g *stream) chance(p float64) bool { return g.rng.Float64() < p }

// visitor is a regular user: always the same address, client and account.
func (g *stream) visitor(i int) request {
	return request{
		ip: address(i % g.ips), asn: strconv.Itoa(64500 + i%4), country: countries[i%len(countries)],
		fingerprint: "fp" + strconv.Itoa(i%6), agent: "agent" + strconv.Itoa(i%5),
		credential: "user" + strconv.Itoa(i%g.names), session: "s" + strconv.Itoa(i%g.names),
		language: countries[i%len(countries)],
		bytes:    strconv.Itoa(200 + g.rng.IntN(5)*100), duration: strconv.Itoa(1000 + g.rng.IntN(9)*500),
	}
}

// login makes r an attempt to log in.
func (r *request) login(ok bool) {
	r.method, r.path, r.endpoint, r.kind = "POST", "/login", "POST /login", "login"
	r.status, r.outcome = "401", "failure"
	if ok {
		r.status, r.outcome = "302", "success"
	}
}

// browse makes r a look at product n.
func (r *request) browse(n int) {
	r.method, r.kind, r.item, r.status = "GET", "product", strconv.Itoa(n), "200"
	r.path, r.endpoint = "/products/"+r.item, "GET /products/{id}"
}

// signup makes r the creation of an account.
func (r *request) signup() {
	r.method, r.path, r.endpoint, r.kind = "POST", "/signup", "POST /signup", "signup"
	r.status, r.outcome = "201", "success"
}

// search makes r a search, without an account.
func (r *request) search() {
	r.method, r.path, r.endpoint, r.kind, r.status = "GET", "/search", "GET /search", "search", "200"
	r.credential, r.outcome = "", ""
}

// episode is a run of events that belong together: an attack or a quiet hour.
func (g *stream) episode() {
	n := 15 + g.rng.IntN(60)
	who := g.rng.IntN(g.ips * g.names)
	shape := g.rng.IntN(9)
	step := []time.Duration{0, 200 * time.Millisecond, time.Second, 3 * time.Second, 20 * time.Second}[g.rng.IntN(5)]
	steady := g.chance(0.4)
	refusedFrom := n + 1
	if g.opt.Refused && g.chance(0.5) {
		refusedFrom = g.rng.IntN(n)
		if g.chance(0.3) {
			refusedFrom = 0
		}
	}
	refusal := g.one("block", "block", "challenge", "limit")
	for i := 0; i < n && g.made < g.opt.Events; i++ {
		r := g.request(shape, who, i)
		if i >= refusedFrom && shape != 0 {
			r.refused = refusal
		}
		g.write(&r)
		if steady {
			g.now += int64(step)
		} else {
			g.now += g.rng.Int64N(2*int64(step) + 1)
		}
		if g.chance(0.01) {
			g.pause()
		}
	}
	g.pause()
}

// request returns event i of an episode.
func (g *stream) request(shape, who, i int) request {
	r := g.visitor(who)
	switch shape {
	case 0: // regulars
		r = g.visitor(g.rng.IntN(g.names))
		switch g.rng.IntN(4) {
		case 0:
			r.search()
		case 1:
			r.browse(g.rng.IntN(30))
		default:
			r.login(g.chance(0.85))
		}
	case 1: // one source tries many accounts
		r.credential, r.session = "user"+strconv.Itoa(g.rng.IntN(g.names)), ""
		r.login(g.chance(0.04))
	case 2: // many sources try one account
		s := g.visitor(g.rng.IntN(g.ips))
		r.ip, r.asn, r.session = s.ip, s.asn, ""
		r.login(false)
	case 3, 8: // a population behind one client
		s := g.visitor(g.rng.IntN(g.ips))
		r.ip, r.asn, r.session = s.ip, s.asn, s.session
		r.credential = "user" + strconv.Itoa(g.rng.IntN(g.names))
		r.login(g.chance(0.06))
	case 4: // a scraper
		r.credential = ""
		r.browse(i % 70)
		if g.opt.Wide {
			r.browse(g.rng.IntN(3000))
		}
	case 5: // accounts in series
		r.signup()
		r.credential, r.session = "user"+strconv.Itoa((who+i)%g.names), ""
	case 6: // an office behind one address
		r.credential = "user" + strconv.Itoa(g.rng.IntN(g.names))
		r.session = ""
		r.login(g.chance(0.9))
	case 7: // a client without any identity looks around
		r.credential, r.session, r.fingerprint = "", "", ""
		r.search()
		if g.chance(0.5) {
			r.browse(g.rng.IntN(20))
		}
		r.status = g.one("200", "404", "404", "")
		r.bytes = g.one("", "0", "512", "70000")
	}
	return r
}

// pause lets time pass between episodes.
func (g *stream) pause() {
	pauses := []time.Duration{0, time.Second, 7 * time.Second, 40 * time.Second, 3 * time.Minute, 11 * time.Minute}
	if !g.opt.Calm {
		pauses = append(pauses, time.Hour, 5*time.Hour, 12*time.Hour, 26*time.Hour, 3*24*time.Hour)
	}
	// Short ones are more likely: decisions need traffic in their windows.
	i := min(g.rng.IntN(len(pauses)), g.rng.IntN(len(pauses)))
	g.now += g.rng.Int64N(int64(pauses[i]) + 1)
}

// write adds the line of r, and perhaps one that is broken.
func (g *stream) write(r *request) {
	at := g.now
	if g.opt.Jitter > 0 && g.chance(0.5) {
		at -= g.rng.Int64N(int64(g.opt.Jitter))
	}
	switch u := g.rng.Float64(); {
	case u < g.opt.Late:
		at -= int64(g.opt.Jitter) + g.rng.Int64N(int64(5*time.Minute))
	case u < g.opt.Late+g.opt.Dropped:
		at -= int64(61*time.Minute) + g.rng.Int64N(int64(20*time.Hour))
	case u < g.opt.Late+g.opt.Dropped+g.opt.Future:
		at += int64(25*time.Hour) + g.rng.Int64N(int64(48*time.Hour))
		if g.chance(0.5) {
			at = time.Date(2099, 1, 1, 0, 0, g.rng.IntN(3600), 0, time.UTC).UnixNano()
		}
	}
	appended := int64(0)
	if g.opt.Appended {
		appended = g.now + g.rng.Int64N(int64(time.Second))
		if g.chance(0.02) {
			at = appended + g.rng.Int64N(int64(10*time.Minute))
		}
	}
	at -= at % int64(time.Millisecond)
	if g.chance(g.opt.Garbage) {
		g.add([]byte(g.one("", "nonsense", "t=yesterday ip=192.0.2.1", "t="+FormatTime(at)+" status=abc")), appended)
	}
	g.add(r.line(at), appended)
	g.made++
}

func (r *request) line(at int64) []byte {
	pairs := make([]Pair, 0, 20)
	pairs = append(pairs, Pair{"t", FormatTime(at)})
	for _, p := range [...]Pair{
		{"ip", r.ip}, {"asn", r.asn}, {"country", r.country}, {"method", r.method}, {"path", r.path},
		{"endpoint", r.endpoint}, {"kind", r.kind}, {"item", r.item}, {"fingerprint", r.fingerprint}, {"agent", r.agent},
		{"credential", r.credential}, {"session", r.session}, {"status", r.status}, {"outcome", r.outcome},
		{"refused", r.refused}, {"bytes", r.bytes}, {"duration", r.duration}, {"language", r.language},
	} {
		if p.Value != "" {
			pairs = append(pairs, p)
		}
	}
	return AppendLine(nil, pairs)
}

// add gives a line to one of the partitions.
func (g *stream) add(line []byte, appended int64) {
	p := g.deal.IntN(len(g.out))
	g.out[p] = append(g.out[p], ingest.MemoryRecord{Line: line, Offset: g.next[p], Appended: appended})
	g.next[p] += int64(len(line)) + 1
}
