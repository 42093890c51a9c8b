package testkit

import (
	"bufio"
	"fmt"
	"io"
	"math/rand/v2"
	"time"
)

// The formats in which WriteLog writes.
const (
	NginxJSON = "nginx-json" // about 600 bytes a line
	Combined  = "combined"   // about 250 bytes a line
)

// LogOptions says what an access log holds.
type LogOptions struct {
	Seed    uint64
	Lines   int
	Start   time.Time // zero: 2026-03-06T09:00:00Z
	Density float64   // events per second of event time; 0: 100
	Format  string    // empty: NginxJSON
	Attacks []string  // of the names in Attacks; at most a tenth of the lines
	// ToEnd has the attacks go on to the end of the log instead of being over
	// before it.
	ToEnd bool
	// Guests adds an office behind one address and a crawler, see OfficeAddress
	// and CrawlerNet: they look like attacks and are none.
	Guests bool
	// Addresses is how many there are of those that are no regulars', an eighth of
	// them IPv6; 0: some eight million, so that hardly one comes twice.
	Addresses int
}

// The guests of a log.
const (
	OfficeAddress = "203.0.113.20"      // sixty people, who log in at nine and now and then
	CrawlerNet    = "198.51.100.240/28" // reads one product after the other, as CrawlerName
	CrawlerName   = "examplebot"
)

// Truth is what a written log holds.
type Truth struct {
	Lines       int
	Addresses   int // distinct ones
	First, Last time.Time
	Attacks     []Attack
}

// Attack is one attack of a log.
type Attack struct {
	Name        string
	Addresses   []string
	JA4         string // of all its requests; empty if it varies
	Endpoint    string
	Lines       int
	Failed      int
	First, Last time.Time
}

// WriteLog writes the access log of a shop and returns what is in it. The same
// options give the same bytes. Half of the requests come from a few thousand
// regular addresses, half from anywhere among the others.
func WriteLog(w io.Writer, opt LogOptions) (*Truth, error) {
	if opt.Start.IsZero() {
		opt.Start = time.Date(2026, 3, 6, 9, 0, 0, 0, time.UTC)
	}
	if opt.Density == 0 {
		opt.Density = 100
	}
	appendLine := appendNginxJSON
	switch opt.Format {
	case "", NginxJSON:
	case Combined:
		appendLine = appendCombined
	default:
		return nil, fmt.Errorf("format %q, must be %s or %s", opt.Format, NginxJSON, Combined)
	}
	span := time.Duration(float64(opt.Lines) / opt.Density * float64(time.Second))
	schedule, err := newSchedule(opt, span)
	if err != nil {
		return nil, err
	}
	shop := newShop(opt.Seed, opt.Addresses)
	guests := guests{on: opt.Guests, seen: map[uint32]bool{}}
	truth := &Truth{Lines: opt.Lines, First: opt.Start}
	clients := clientSet{bits: make([]uint64, allClients/64+1)}
	out := bufio.NewWriterSize(w, 1<<20)
	var line []byte
	var clock logClock
	for i := range opt.Lines {
		after := time.Duration(float64(i) / opt.Density * float64(time.Second))
		hit := &shop.hit
		if a := schedule.due(after); a != nil {
			a.next(shop, opt.Start.Add(after))
		} else if guests.due(i) {
			guests.next(shop, opt.Start.Add(after))
		} else {
			shop.next()
			clients.add(hit.client)
		}
		clock.set(opt.Start, after)
		line = append(appendLine(line[:0], hit, &clock), '\n')
		if _, err := out.Write(line); err != nil {
			return nil, fmt.Errorf("write log: %w", err)
		}
	}
	if err := out.Flush(); err != nil {
		return nil, fmt.Errorf("write log: %w", err)
	}
	truth.Last = opt.Start.Add(time.Duration(float64(max(0, opt.Lines-1)) / opt.Density * float64(time.Second)))
	truth.Addresses = clients.n + len(guests.seen)
	for _, a := range schedule.attacks {
		truth.Addresses += len(a.truth.Addresses)
		truth.Attacks = append(truth.Attacks, a.truth)
	}
	return truth, nil
}

// logClock keeps the texts of the current second.
type logClock struct {
	second   int64
	millis   int64
	iso, clf []byte
}

func (c *logClock) set(start time.Time, after time.Duration) {
	t := start.Add(after).UTC()
	c.millis = int64(t.Nanosecond()) / 1e6
	if s := t.Unix(); s != c.second || c.iso == nil {
		c.second = s
		c.iso = t.AppendFormat(c.iso[:0], "2006-01-02T15:04:05+00:00")
		c.clf = t.AppendFormat(c.clf[:0], "02/Jan/2006:15:04:05 +0000")
	}
}

// clientSet counts the distinct clients among honest visitors; each has an
// address of its own.
type clientSet struct {
	bits []uint64
	n    int
}

func (s *clientSet) add(client int) {
	if word, bit := &s.bits[client>>6], uint64(1)<<(client&63); *word&bit == 0 {
		*word |= bit
		s.n++
	}
}

// random returns a generator for one purpose of a seed.
func random(seed, purpose uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, purpose)) }
