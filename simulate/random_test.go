package simulate

import (
	"math"
	"slices"
	"testing"
)

func TestPermutationHitsEveryNumberOnce(t *testing.T) {
	for _, size := range []uint{0, 1, 5, 13} {
		seen := map[uint64]bool{}
		for i := range uint64(1) << size {
			seen[permute(i, size, 7)] = true
		}
		if len(seen) != 1<<size {
			t.Errorf("%d of %d numbers are hit", len(seen), 1<<size)
		}
	}
}

func TestWaitingTimesHaveTheirMeanAndMedian(t *testing.T) {
	r := stream(1, "waiting")
	const n = 200_000
	var sum float64
	around := make([]int64, n)
	for i := range n {
		sum += float64(r.wait(1_000_000))
		around[i] = r.around(1_000_000, wide)
	}
	within(t, "mean", sum/n, 985_000, 1_015_000)
	slices.Sort(around)
	within(t, "median", float64(around[n/2]), 980_000, 1_020_000)
	within(t, "84 % over the median", float64(around[n*84/100])/1e6, math.Exp(1.05), math.Exp(1.15))
}

func TestArrivalsFollowTheirCurve(t *testing.T) {
	a := arrivals{random: stream(3, "curve"), rate: 1 / float64(second), until: day, height: func(at int64) float64 {
		return map[bool]float64{true: 3, false: 1}[at >= 12*hour]
	}}
	var before, after int
	last := int64(-1)
	for {
		at, ok := a.next()
		if !ok {
			break
		}
		if at <= last || at >= day {
			t.Fatalf("%d after %d", at, last)
		}
		if last = at; at < 12*hour {
			before++
		} else {
			after++
		}
	}
	within(t, "in the morning", float64(before), 42_500, 43_900)
	within(t, "in the afternoon", float64(after), 128_600, 130_600)
}

func TestRareArrivalsAreAsManyAsTheirRate(t *testing.T) {
	a := arrivals{random: stream(5, "rare"), rate: 1 / float64(3*hour), until: 366 * day, height: func(int64) float64 { return 1 }}
	n := 0
	for _, ok := a.next(); ok; _, ok = a.next() {
		n++
	}
	within(t, "in a year, one in three hours", float64(n), 2928-170, 2928+170)
}

func TestNoTwoAccountsHaveTheSameName(t *testing.T) {
	seen := map[string]uint64{}
	for space := range uint64(40) {
		for n := range uint64(6000) {
			id := account(mix(space)&0xffff, n*997)
			name := string(appendAccount(nil, id))
			if other, ok := seen[name]; ok && other != id {
				t.Fatalf("%s is %d and %d", name, other, id)
			}
			seen[name] = id
		}
	}
}

func TestAddressesOfANetworkAreItsOwnAndDistinct(t *testing.T) {
	for i := range networks {
		n := &networks[i]
		first, last := lowHigh(n)
		seen := map[uint64]bool{}
		for k := range uint64(min(5000, 1<<n.size)) {
			a := n.address(k, 12345)
			if a.Less(first) || last.Less(a) {
				t.Fatalf("%s: %s is not from %s to %s", n.name, a, first, last)
			}
			seen[number(a)] = true
		}
		if want := min(5000, 1<<n.size); len(seen) != want {
			t.Errorf("%s: %d addresses, must be %d", n.name, len(seen), want)
		}
		for j := range networks {
			o := &networks[j]
			if oFirst, oLast := lowHigh(o); i != j && !last.Less(oFirst) && !oLast.Less(first) {
				t.Errorf("%s overlaps %s", n.name, o.name)
			}
		}
	}
}

func TestNumberSetCountsEachNumberOnce(t *testing.T) {
	var n numberSet
	r, want := stream(1, "set"), map[uint64]bool{}
	for range 50_000 {
		x := r.below(40_000) << (r.below(2) * 20)
		n.add(x)
		want[x] = true
	}
	if n.count != int64(len(want)) {
		t.Errorf("%d counted, must be %d", n.count, len(want))
	}
}
