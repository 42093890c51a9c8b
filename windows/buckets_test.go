package windows

import (
	"math"
	"testing"
)

// What Top and Entropy lose to values that share a bucket, on average.
func TestBucketsErrAsStated(t *testing.T) {
	const runs = 400
	for _, values := range []int{2, 5, 10, 20} {
		var share, bits float64
		for run := range runs {
			o := newOne(Series{Kind: Buckets, Windows: []Window{W1m}})
			var obs []uint64
			for v := range values {
				obs = append(obs, mix(uint64(run)<<20|uint64(v)))
			}
			for range values { // the first value has half of all
				obs = append(obs, obs[0])
			}
			o.fold(1000, obs...)
			slot, _ := o.u.Find(o.k)
			top, _ := o.u.Top(slot, 0, W1m, 1000)
			entropy, _ := o.u.Entropy(slot, 0, W1m, 1000)
			p := float64(values+1) / float64(2*values)
			exact := -p*math.Log2(p) + (1-p)*math.Log2(float64(2*values))
			share += (top - p) / runs
			bits += (exact - entropy) / runs
		}
		t.Logf("%d values: share %.4f too large, entropy %.3f bits too small", values, share, bits)
		if share < -1e-9 || share > 0.5/64*1.5 {
			t.Errorf("%d values: share %.4f too large on average, must be at most about 1/64 of the rest", values, share)
		}
		if bits < -1e-9 || bits > float64(values)/64*1.5 {
			t.Errorf("%d values: entropy %.3f bits too small on average, must be at most about %d/64", values, bits, values)
		}
	}
}
