package testkit

import (
	"bufio"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strconv"
	"time"
)

// CrowdOptions says what a flood of new addresses holds.
type CrowdOptions struct {
	Seed      uint64
	Start     time.Time // zero: 2026-03-06T09:00:00Z
	Minutes   int       // of the flood
	PerMinute int       // requests of it, each of an address that was never seen before
	// Again has every other request of the flood come from an address that came so
	// long ago for the first time, so that there are half as many, each twice. 0: none.
	Again time.Duration
	// Attackers of each strength fail to log in: the near ones Threshold to twice
	// as often within Within, the far ones twice to four times.
	Attackers int
	Threshold int
	Within    time.Duration
	// Forgetful is how many honest addresses fail a few times and then succeed.
	Forgetful int
	// Calm is how many minutes go on behind the flood in which only a thousand
	// regular addresses come, a hundred requests a second.
	Calm int
}

// CrowdTruth says who is who in a flood.
type CrowdTruth struct {
	Lines     int
	Near, Far map[string]bool // addresses of attackers
}

// The addresses of a flood: attackers and forgetful ones are apart from the rest.
const (
	crowdAttackers = 198<<24 | 18<<16
	crowdForgetful = 198<<24 | 19<<16
	mostAttackers  = 1 << 15 // of each strength
)

// try is one attempt of a planted address to log in.
type try struct {
	at      time.Duration
	address uint32
	fails   bool
}

// WriteCrowd writes a flood of new addresses in combined format, attackers and
// forgetful people at random moments in it. Addresses of the flood are /64s of
// 2001:db8::/32. The same options give the same bytes.
func WriteCrowd(w io.Writer, opt CrowdOptions) (*CrowdTruth, error) {
	if opt.Start.IsZero() {
		opt.Start = time.Date(2026, 3, 6, 9, 0, 0, 0, time.UTC)
	}
	if opt.Attackers > mostAttackers || opt.Forgetful > mostAttackers {
		return nil, fmt.Errorf("%d attackers of each strength and %d forgetful addresses, must be at most %d of each", opt.Attackers, opt.Forgetful, mostAttackers)
	}
	truth, tries := opt.plant()
	c := crowd{out: bufio.NewWriterSize(w, 1<<18), start: opt.Start, truth: truth}
	flood := opt.Minutes * opt.PerMinute
	step := float64(time.Minute) / float64(opt.PerMinute)
	for i := range flood {
		at := time.Duration(float64(i) * step)
		for len(tries) > 0 && tries[0].at <= at {
			c.planted(tries[0])
			tries = tries[1:]
		}
		if err := c.stranger(at, opt.who(i)); err != nil {
			return nil, fmt.Errorf("write log: %w", err)
		}
	}
	for _, t := range tries {
		c.planted(t)
	}
	for i := range opt.Calm * 6000 {
		c.regular(time.Duration(opt.Minutes)*time.Minute+time.Duration(i)*10*time.Millisecond, i)
	}
	if err := c.out.Flush(); err != nil {
		return nil, fmt.Errorf("write log: %w", err)
	}
	return truth, nil
}

// who returns which of the flood's addresses its i-th request is from.
func (opt *CrowdOptions) who(i int) uint64 {
	if opt.Again == 0 {
		return uint64(i)
	}
	earlier := i/2 - int(int64(opt.PerMinute)*int64(opt.Again)/int64(2*time.Minute))
	switch {
	case i%2 == 0:
		return uint64(i / 2)
	case earlier >= 0:
		return uint64(earlier)
	}
	return 1<<31 | uint64(i) // nobody came so long ago
}

// plant decides who attacks when.
func (opt *CrowdOptions) plant() (*CrowdTruth, []try) {
	rng := rand.New(rand.NewPCG(opt.Seed, 21))
	truth := &CrowdTruth{Near: map[string]bool{}, Far: map[string]bool{}}
	whole := time.Duration(opt.Minutes) * time.Minute
	var tries []try
	add := func(address uint32, n int, fails func(i int) bool) {
		spread := min(whole, opt.Within/5+time.Duration(rng.Int64N(int64(opt.Within*4/5))))
		begin := time.Duration(rng.Int64N(int64(whole-spread) + 1))
		at := make([]time.Duration, n)
		for i := range at {
			at[i] = begin + time.Duration(rng.Int64N(int64(spread)))
		}
		slices.Sort(at)
		for i, t := range at {
			tries = append(tries, try{t, address, fails(i)})
		}
	}
	always := func(int) bool { return true }
	for i := range opt.Attackers {
		near, far := uint32(crowdAttackers+2*i), uint32(crowdAttackers+2*i+1)
		truth.Near[dotted(near)], truth.Far[dotted(far)] = true, true
		add(near, opt.Threshold+rng.IntN(opt.Threshold), always)
		add(far, 2*opt.Threshold+rng.IntN(2*opt.Threshold+1), always)
	}
	for i := range opt.Forgetful {
		n := 3 + rng.IntN(6)
		add(uint32(crowdForgetful+i), n, func(i int) bool { return i < n-2 })
	}
	slices.SortStableFunc(tries, func(a, b try) int { return int(a.at - b.at) })
	return truth, tries
}

func dotted(v4 uint32) string { return string(logAddress{v4: v4}.append(nil)) }

// crowd writes the lines of a flood.
type crowd struct {
	out   *bufio.Writer
	start time.Time
	clock logClock
	line  []byte
	truth *CrowdTruth
}

// crowdAgent is what comes before the version in an agent.
const crowdAgent = `Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/`

// stranger writes a request of the i-th new address, always the same one.
func (c *crowd) stranger(at time.Duration, i uint64) error {
	mixed := i*0x9e3779b97f4a7c15 ^ i>>7
	c.begin(at, logAddress{v6: i%(1<<32-1) + 1})
	switch mixed >> 32 % 100 {
	case 0, 1: // a stranger who mistypes
		c.rest("POST /login", -1, 401, 211, mixed)
	case 2, 3, 4:
		c.rest("POST /login", -1, 302, 0, mixed)
	case 5, 6, 7, 8, 9, 10, 11, 12:
		c.rest("GET /", -1, 200, 8211, mixed)
	case 13, 14, 15, 16, 17, 18, 19, 20, 21, 22:
		c.rest("GET /category/", int64(mixed>>40%200), 200, 20311, mixed)
	default:
		c.rest("GET /products/", int64(mixed>>40%20000), 200, 12504, mixed)
	}
	return c.end()
}

func (c *crowd) planted(t try) {
	c.begin(t.at, logAddress{v4: t.address})
	status := 302
	if t.fails {
		status = 401
	}
	c.rest("POST /login", -1, status, 211, uint64(t.address)*0x9e3779b97f4a7c15)
	_ = c.end() // the writer keeps its first error
}

func (c *crowd) regular(at time.Duration, i int) {
	c.begin(at, logAddress{v4: crowdForgetful | 1<<15 + uint32(i%1000)})
	c.rest("GET /products/", int64(i%20000), 200, 12504, uint64(i%1000)*0x9e3779b97f4a7c15)
	_ = c.end() // the writer keeps its first error
}

func (c *crowd) begin(at time.Duration, a logAddress) {
	c.clock.set(c.start, at)
	c.line = a.append(c.line[:0])
	c.line = append(c.line, " - - ["...)
	c.line = append(c.line, c.clock.clf...)
	c.line = append(c.line, `] "`...)
}

func (c *crowd) rest(request string, number int64, status, size int, mixed uint64) {
	b := append(c.line, request...)
	if number >= 0 {
		b = strconv.AppendInt(b, number, 10)
	}
	b = append(b, ` HTTP/1.1" `...)
	b = strconv.AppendInt(b, int64(status), 10)
	b = append(b, ' ')
	b = strconv.AppendInt(b, int64(size), 10)
	b = append(b, ` "-" "`...)
	b = append(b, crowdAgent...)
	b = strconv.AppendUint(b, 100+mixed>>50%40, 10)
	b = append(b, ".0."...)
	b = strconv.AppendUint(b, mixed>>45%20, 10)
	c.line = append(b, ".0 Safari/537.36\"\n"...)
}

func (c *crowd) end() error {
	c.truth.Lines++
	_, err := c.out.Write(c.line)
	return err
}
