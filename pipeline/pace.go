package pipeline

import "time"

// Pace is how the clocks of a source went while their watermarks were before a
// tick: by an earlier configuration of it.
type Pace struct {
	Until                 int64 // Unix seconds
	Disorder, MaxLateness time.Duration
}

// follow has the clock go by earlier paces up to their ends. Which one counts
// follows from the watermark alone: from where in the partition a run goes on
// must not matter, and that lies in front of the tick at which the pace changed.
func (c *partitionClock) follow(paces []Pace) {
	if len(paces) == 0 {
		return
	}
	c.paces, c.final = paces, Pace{Disorder: time.Duration(c.disorder), MaxLateness: time.Duration(c.lateness) * time.Second}
	most := c.final.Disorder
	for _, p := range paces {
		most = max(most, p.Disorder)
	}
	c.counts = make([]int32, int64(most)/nanos+3)
	c.take(paces[0])
	c.keepPace()
}

// keepPace takes the pace that counts at the watermark.
func (c *partitionClock) keepPace() {
	for len(c.paces) > 0 && c.w >= c.paces[0].Until {
		if c.paces = c.paces[1:]; len(c.paces) > 0 {
			c.take(c.paces[0])
		} else {
			c.take(c.final)
		}
	}
}

func (c *partitionClock) take(p Pace) {
	c.disorder, c.lateness = int64(p.Disorder), int64(p.MaxLateness/time.Second)
}
