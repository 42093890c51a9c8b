package windows

import (
	"math"
	"math/bits"
	"slices"
)

// Surge reads a Count series that has a window of seven days besides the one
// that is asked about: the hours of the former, a counter each, are the past
// that the latter is held against. So it keeps nothing of its own: at most 176
// panes of a key's series, each of a counter of one to five bytes, one of a gap
// and one for every eight series that share them.
const (
	hour = 3600
	// surgeGap is how much of the latest past is left out, so that a rise that
	// goes on is not held against its own beginning.
	surgeGap = 3 * hour
	// surgeLeast is how long a key's history must be to say anything.
	surgeLeast = 24 * hour
	// surgeSamples is how many days must have a sample of the same hour.
	surgeSamples = 3
	// surgeHours is how many whole hours a window of seven days has at most.
	surgeHours = int(W7d)/hour + 1
)

// MaxSurge is the longest window that Surge may be asked about.
const MaxSurge = W24h

// Surge says how far the count of a window as of tick is above what its key is
// used to: in spreads above the median of the same window in the past, at least
// 0. The past is the seven days before without the last three hours, from the
// key's first event in them on. Where three days or more of it have a sample
// that ended in the same hour of the day, only these count: of each day the
// larger of that and the one that ended an hour earlier, for the window lies in
// both hours. The spread is 1.4826 times the median absolute deviation, at
// least the square root of the median, a tenth of the median and 1. Windows
// below an hour are held against their part of the hours. A key with less than
// a day of history has no surge: 0.
func (u *Unit) Surge(slot uint32, series int, w Window, tick int64) float64 {
	var hours [surgeHours]uint64
	begin, n := u.hours(slot, series, tick, &hours)
	if n == 0 {
		return 0
	}
	now := u.Total(slot, series, w, tick)
	return surge(hours[:n], begin, w, tick, now)
}

// hours fills in the counts of the whole hours of the past, the oldest first,
// from the first one that has any; begin is when that one begins.
func (u *Unit) hours(slot uint32, series int, tick int64, hours *[surgeHours]uint64) (begin int64, n int) {
	end := floorTo(tick-surgeGap, hour)
	start := W7d.Start(tick)
	r, ok := u.read(slot, series, W7d, tick)
	if !ok {
		return 0, 0
	}
	width := r.s.width
	col := int(u.shapes[u.index.slot(slot).table].places[series][Ring1h].column)
	begin = end
	for ok = r.first(); ok; ok = r.next(countsEnd(r.p, r.i, width)) {
		if r.p[r.i+col>>3]>>(col&7)&1 == 0 {
			continue
		}
		at := r.second()
		if at >= end {
			continue
		}
		before := 0
		for _, c := range r.p[r.i : r.i+col>>3] {
			before += bits.OnesCount8(c)
		}
		before += bits.OnesCount8(r.p[r.i+col>>3] & (1<<(col&7) - 1))
		hours[(at-start)/hour], _ = uvarint(r.p, skip(r.p, r.i+width, before))
		begin = at // the newest pane comes first
	}
	if begin == end {
		return 0, 0
	}
	from := int((begin - start) / hour)
	n = int((end - begin) / hour)
	copy(hours[:n], hours[from:from+n])
	return begin, n
}

// surge holds a count against past hours, of which the first begins at begin.
func surge(hours []uint64, begin int64, w Window, tick int64, now uint64) float64 {
	if int64(len(hours))*hour < surgeLeast {
		return 0
	}
	// A sample is as many hours as the window has, at least one; it is named by
	// its last one, and so is the window itself.
	per := max(1, int(w/hour))
	var sums, same [surgeHours]uint64
	sum := uint64(0)
	for i, c := range hours {
		sum = addSaturating(sum, c)
		if i >= per {
			sum -= min(sum, hours[i-per])
		}
		sums[i] = sum
	}
	samples := sums[min(per-1, len(hours)):len(hours)]
	// The window lies in its own hour of the day and in the one before.
	s := 0
	for i := int((floorTo(tick-1, hour)-begin)/hour) - 24; i >= per-1; i -= 24 {
		if i < len(hours) {
			same[s] = max(sums[i], sums[max(i-1, per-1)])
			s++
		}
	}
	if s >= surgeSamples {
		samples = same[:s]
	}
	if len(samples) == 0 {
		return 0
	}
	twice := medianTwice(samples) // medians of even numbers of samples are between two of them
	for i, c := range samples {
		samples[i] = max(addSaturating(c, c), twice) - min(addSaturating(c, c), twice)
	}
	fourfold := medianTwice(samples)
	part := min(1, float64(w)/hour)
	median := part * float64(twice) / 2
	spread := max(1.4826*part*float64(fourfold)/4, math.Sqrt(median), median/10, 1)
	return max(0, (float64(now)-median)/spread)
}

// medianTwice returns twice the median; it sorts.
func medianTwice(v []uint64) uint64 {
	slices.Sort(v)
	return addSaturating(v[(len(v)-1)/2], v[len(v)/2])
}

func floorTo(t, step int64) int64 {
	r := t % step
	if r < 0 {
		r += step
	}
	return t - r
}
