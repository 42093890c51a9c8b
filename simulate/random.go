package simulate

import (
	"math"
	"math/bits"
)

// random is a stream of random numbers. Every actor has its own, seeded by who
// it is, so that what one does never moves another. It is eight bytes, for
// there are many. (SplitMix64.)
type random struct{ state uint64 }

// stream returns the random numbers of somebody: a seed, a name, and numbers.
func stream(seed uint64, name string, numbers ...uint64) random {
	h := mix(seed ^ 0x9e3779b97f4a7c15)
	for i := range len(name) {
		h = mix(h ^ uint64(name[i]) + 0x100)
	}
	for _, n := range numbers {
		h = mix(h ^ mix(n+0x632be59bd9b4e019))
	}
	return random{h}
}

// mix makes a number of which no bit tells anything about one bit of x.
func mix(x uint64) uint64 {
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

func (r *random) next() uint64 {
	r.state += 0x9e3779b97f4a7c15
	return mix(r.state)
}

// below returns a number from 0 to n-1.
func (r *random) below(n uint64) uint64 {
	hi, _ := bits.Mul64(r.next(), n)
	return hi
}

// chance reports true in a share p of all cases.
func (r *random) chance(p float64) bool {
	return float64(r.next()>>11) < p*(1<<53)
}

// The shapes of waiting are tables of whole numbers, and between their entries
// straight lines: a logarithm may come out differently in its last bit on
// another machine, and one bit would be another log.
const (
	tableBits = 12
	tableOne  = 1 << 16 // 1 in the tables
)

// table holds quantiles: its inverse distribution at 4,097 places.
type table [1<<tableBits + 1]int64

var exponential = quantiles(func(p float64) float64 { return -math.Log1p(-p) })

// quantiles tabulates the inverse of a distribution.
func quantiles(inverse func(p float64) float64) *table {
	t := new(table)
	for i := range t {
		p := (float64(i) + 0.5) / (1<<tableBits + 1)
		t[i] = int64(math.Round(inverse(p) * tableOne))
	}
	return t
}

func (r *random) quantile(t *table) int64 {
	n := r.next()
	i := n >> (64 - tableBits)
	rest := int64(n >> 20 & 0xffff)
	return t[i] + (t[i+1]-t[i])*rest>>16
}

// wait returns a waiting time of this mean, exponentially distributed: the gap
// between things that have nothing to do with each other.
func (r *random) wait(mean int64) int64 {
	q := r.quantile(exponential)
	hi, lo := bits.Mul64(uint64(q), uint64(max(mean, 0)))
	return int64(hi<<48 | lo>>16)
}

// How widely things scatter around their median: the answers of a server, and
// how long people look at a page, of which some are looked at for minutes.
var usual, wide = lognormal(0.6), lognormal(1.1)

// lognormal tabulates a log-normal distribution of this σ and the median 1.
func lognormal(sigma float64) *table {
	return quantiles(func(p float64) float64 { return math.Exp(sigma * math.Sqrt2 * math.Erfinv(2*p-1)) })
}

// around returns a time scattered log-normally around a median.
func (r *random) around(median int64, spread *table) int64 {
	q := r.quantile(spread)
	hi, lo := bits.Mul64(uint64(q), uint64(max(median, 0)))
	return int64(hi<<48 | lo>>16)
}

// skewed returns a number below n, small ones far more often: of people who
// come back, of goods that everybody wants. (The square of a uniform number.)
func (r *random) skewed(n uint64) uint64 {
	hi, _ := bits.Mul64(r.next(), r.next())
	hi, _ = bits.Mul64(hi, n)
	return hi
}

// permute maps 0 … 2^size-1 onto itself in an order that looks random.
func permute(i uint64, size uint, key uint64) uint64 {
	mask := uint64(1)<<size - 1
	half := (size + 1) / 2
	i &= mask
	for round := range uint64(3) {
		k := mix(key + round)
		i = (i*(k|1) + k>>32) & mask
		i ^= i >> half
	}
	return i
}
