package score

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"weir/event"
)

// rate is how often a limit lets somebody through.
type rate struct {
	count float64
	per   float64 // nanoseconds
}

// parseRate reads a rate as rules write it: 10/1m.
func parseRate(s string) (rate, error) {
	n, per, _ := strings.Cut(s, "/")
	count, err := strconv.ParseUint(n, 10, 31)
	if err != nil || count == 0 || per == "" {
		return rate{}, fmt.Errorf("to: %.20q, must be a rate such as 10/1m", s)
	}
	unit := map[byte]time.Duration{'s': time.Second, 'm': time.Minute, 'h': time.Hour, 'd': 24 * time.Hour}[per[len(per)-1]]
	each, err := strconv.ParseUint(per[:len(per)-1], 10, 20)
	if err != nil || each == 0 || unit == 0 {
		return rate{}, fmt.Errorf("to: %.20q, must be a rate such as 10/1m", s)
	}
	return rate{float64(count), float64(each) * float64(unit)}, nil
}

// maxBuckets is of how many targets the use of a rate is remembered at once.
const maxBuckets = 1 << 20

// buckets remember how much of their rates targets have used. A bucket is full
// at first and is refilled evenly, as proxies do it.
type buckets struct {
	rates []rate
	of    map[uint64]*bucket
	shed  int64 // buckets forgotten for want of room: their targets begin with full ones
}

type bucket struct {
	left float64
	at   int64
}

func newBuckets(texts []string) (*buckets, error) {
	b := &buckets{of: map[uint64]*bucket{}}
	for _, t := range texts {
		r, err := parseRate(t)
		if err != nil {
			return nil, err
		}
		b.rates = append(b.rates, r)
	}
	return b, nil
}

// room refills a target's bucket and reports whether a request fits.
func (b *buckets) room(target uint64, which uint16, at int64) bool {
	r := b.rates[which]
	key := bucketKey(target, which)
	k := b.of[key]
	if k == nil {
		if len(b.of) >= maxBuckets {
			b.shed += int64(len(b.of))
			clear(b.of)
		}
		k = &bucket{left: r.count, at: at}
		b.of[key] = k
	}
	if at > k.at {
		k.left = min(r.count, k.left+float64(at-k.at)/r.per*r.count)
		k.at = at
	}
	return k.left >= 1
}

// take uses up what one request needs.
func (b *buckets) take(target uint64, which uint16) {
	if k := b.of[bucketKey(target, which)]; k != nil { // else it was just forgotten
		k.left--
	}
}

// bucketKey tells the rates of one target apart.
func bucketKey(target uint64, which uint16) uint64 { return event.Mix(target + uint64(which)) }
